/** Decodes messages about objects: the entries of a dump, and notifications that an object is new, changed or gone. */
import { isMalformed, type Malformed, type Message } from '../message.ts';
import { type AddressRecord, decodeAddress } from './address.ts';
import { AF, RTM } from './constants.ts';
import { decodeLink, type LinkRecord } from './decode-link.ts';
import { decodeRoute, type RouteRecord } from './decode-route.ts';
import type { DeviceName } from './fields.ts';
import {
  decodeForwarding,
  decodeNeighbour,
  type ForwardingRecord,
  type NeighbourRecord,
} from './neighbour.ts';
import { decodeNextHop, type NextHop } from './next-hop.ts';
import { decodeRule, type Rule } from './rule.ts';

export type ObjectRecord =
  | { readonly object: 'link'; readonly value: LinkRecord }
  | { readonly object: 'address'; readonly value: AddressRecord }
  | { readonly object: 'route'; readonly value: RouteRecord }
  | { readonly object: 'neighbour'; readonly value: NeighbourRecord }
  | { readonly object: 'forwarding'; readonly value: ForwardingRecord }
  | { readonly object: 'rule'; readonly value: Rule }
  | { readonly object: 'next hop'; readonly value: NextHop };

/** `isGone`: the object was deleted; the record is its last state, or what the kernel tells of it. */
export type Notification = ObjectRecord & { readonly isGone: boolean };

/** Undefined for a message about something else, such as routes of MPLS or the ports of a bridge. */
export function decodeNotification(
  message: Message,
  nameOf: DeviceName,
): Notification | Malformed | undefined {
  const record = decodeObject(message, nameOf);
  if (record === undefined || isMalformed(record)) return record;
  return { ...record, isGone: removals.has(message.type) };
}

const removals: ReadonlySet<number> = new Set([
  ...[RTM.DELLINK, RTM.DELADDR, RTM.DELROUTE],
  ...[RTM.DELNEIGH, RTM.DELRULE, RTM.DELNEXTHOP],
]);

function decodeObject({ type, body }: Message, nameOf: DeviceName): ObjectRecord | Malformed | undefined {
  switch (type) {
    case RTM.NEWLINK:
    case RTM.DELLINK:
      return record('link', decodeLink(body));
    case RTM.NEWADDR:
    case RTM.DELADDR:
      return record('address', decodeAddress(body, nameOf));
    case RTM.NEWROUTE:
    case RTM.DELROUTE:
      return record('route', decodeRoute(body, nameOf));
    case RTM.NEWNEIGH:
    case RTM.DELNEIGH:
      return body[0] === AF.BRIDGE
        ? record('forwarding', decodeForwarding(body, nameOf))
        : record('neighbour', decodeNeighbour(body, nameOf));
    case RTM.NEWRULE:
    case RTM.DELRULE:
      return record('rule', decodeRule(body));
    case RTM.NEWNEXTHOP:
    case RTM.DELNEXTHOP:
      return record('next hop', decodeNextHop(body, nameOf));
    default:
      return undefined;
  }
}

function record<K extends string, V extends object>(
  object: K,
  value: V | Malformed | undefined,
): { readonly object: K; readonly value: V } | Malformed | undefined {
  return value === undefined || isMalformed(value) ? value : { object, value };
}
