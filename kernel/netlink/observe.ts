/** Reads the kernel's state by dumps. */
import type { Family } from '../../lib/cidr.ts';
import { CodedError } from '../../lib/errors.ts';
import type { KernelRoute } from '../../model/route.ts';
import type { KernelState, Link, LinkAddress, Neighbour, VxlanState } from '../port.ts';
import { isMalformed, type Malformed } from './message.ts';
import { correct, correctRoutes, ProvisionalNames } from './provisional-names.ts';
import { type AddressRecord, decodeAddress } from './rtnetlink/address.ts';
import { RT_SCOPE, RT_TABLE_MAIN } from './rtnetlink/constants.ts';
import { decodeLink, type LinkRecord } from './rtnetlink/decode-link.ts';
import { decodeRoute, isInMainTable } from './rtnetlink/decode-route.ts';
import type { DeviceName } from './rtnetlink/fields.ts';
import { decodeForwarding, decodeNeighbour } from './rtnetlink/neighbour.ts';
import {
  addressDump,
  forwardingDump,
  linkDump,
  linkQuery,
  neighbourDump,
  routeDump,
} from './rtnetlink/requests.ts';
import type { Sockets } from './sockets.ts';

/**
 * Reads the state of a network namespace again and again. Dumps follow each other, so objects can change in between: it
 * reads the interfaces last, so that a new pod's route is never seen without its interface.
 */
export class Observer {
  readonly #sockets: Sockets;
  /** Names of interfaces by index, from the previous observation. */
  #names: ReadonlyMap<number, string> = new Map();

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  /**
   * Reads links, and the addresses, main-table routes and permanent neighbours of the families. Throws CodedError
   * NETLINK.
   */
  async observe(families: readonly Family[]): Promise<KernelState> {
    const sockets = this.#sockets;
    const names = new ProvisionalNames(this.#names);
    const routes: KernelRoute[][] = [];
    const neighbours: Neighbour[][] = [];
    const addresses: AddressRecord[][] = [];
    for (const family of families) {
      routes.push(await dumpRoutes(sockets, names.of, family));
      neighbours.push(await dumpNeighbours(sockets, names.of, family));
      addresses.push(await dumpAddresses(sockets, names.of, family));
    }
    const links = await dumpLinks(sockets);
    this.#names = namesOf(links);
    const corrections = names.corrections(this.#names);
    const visible = addresses
      .flat()
      .flatMap(({ address }) => (address.cidr.startsWith('fe80:') ? [] : [address]));
    return {
      links: new Map(links.map(({ link }) => [link.name, link])),
      addresses: correct(visible, corrections),
      routes: correctRoutes(routes.flat(), corrections),
      neighbours: correct(neighbours.flat(), corrections),
    };
  }
}

/** Returns the addresses of all interfaces, in order of interface index. Throws CodedError FAILED, or CONFIG without koffi. */
export async function readAddresses(sockets: Sockets): Promise<LinkAddress[]> {
  const links = await dumpLinks(sockets);
  const byName = new Map<string, Link>(links.map(({ link }) => [link.name, link]));
  const names = namesOf(links);
  const records = await dumpAddresses(sockets, (index) => names.get(index));
  records.sort((a, b) => a.deviceIndex - b.deviceIndex);
  return records.flatMap(({ scope, address: { isLinkScope: _, ...address } }) => {
    const link = byName.get(address.device);
    return link ? [{ ...address, isUp: link.isUp, mtu: link.mtu, scope: scopeName(scope) }] : [];
  });
}

/** Returns all links. Throws CodedError NETLINK. */
export async function readLinks(sockets: Sockets): Promise<Link[]> {
  return (await dumpLinks(sockets)).map(({ link }) => link);
}

/** Returns the VXLAN devices by name. Throws CodedError NETLINK. */
export async function readVxlans(sockets: Sockets): Promise<Map<string, VxlanState>> {
  const links = await dumpLinks(sockets, 'vxlan');
  return new Map(links.flatMap(({ link, vxlan }) => (vxlan ? [[link.name, vxlan]] : [])));
}

/** Returns the names of all links of a driver, such as `veth`. Throws CodedError NETLINK. */
export async function linkNames(sockets: Sockets, kind: string): Promise<Set<string>> {
  return new Set((await dumpLinks(sockets, kind)).map(({ link }) => link.name));
}

/** Returns a link by name; undefined if it does not exist. Throws CodedError NETLINK. */
export async function readLink(sockets: Sockets, name: string): Promise<LinkRecord | undefined> {
  const found = await sockets.query(linkQuery(name), ({ body }) => decodeLink(body));
  // The kernel also finds alternative names, by which another link could be changed.
  if (found && 'link' in found) return found.link.name === name ? found : undefined;
  if (found && 'code' in found && found.code !== 'ENODEV')
    throw new CodedError('NETLINK', `netlink: link ${name}: ${found.message}`);
  return undefined;
}

/** Returns the permanent forwarding entries of a device: remote nodes by MAC. Throws CodedError NETLINK. */
export async function readForwarding(sockets: Sockets, device: string): Promise<Map<string, string>> {
  const found = await readLink(sockets, device);
  if (!found) throw new CodedError('NETLINK', `netlink: Cannot find device "${device}"`);
  const { index } = found.link;
  const entries = await sockets.dump(forwardingDump(index), ({ body }) =>
    known(decodeForwarding(body, () => device)),
  );
  return new Map(
    entries.flatMap(({ deviceIndex, isPermanent, mac, node }) =>
      deviceIndex === index && isPermanent && node !== undefined ? [[mac, node]] : [],
    ),
  );
}

/** Returns the present names of interfaces by index. Throws CodedError NETLINK. */
export async function deviceNames(sockets: Sockets): Promise<DeviceName> {
  const names = namesOf(await dumpLinks(sockets));
  return (index) => names.get(index);
}

function dumpLinks(sockets: Sockets, kind?: string): Promise<LinkRecord[]> {
  return sockets.dump(linkDump(kind), ({ body }) => {
    const record = known(decodeLink(body));
    return kind === undefined || record?.kind === kind ? record : undefined;
  });
}

function dumpAddresses(sockets: Sockets, nameOf: DeviceName, family?: Family): Promise<AddressRecord[]> {
  return sockets.dump(addressDump(family), ({ body }) => known(decodeAddress(body, nameOf)));
}

function dumpRoutes(sockets: Sockets, nameOf: DeviceName, family: Family): Promise<KernelRoute[]> {
  return sockets.dump(routeDump(family, { table: RT_TABLE_MAIN }), ({ body }) => {
    const record = known(decodeRoute(body, nameOf));
    return record && isInMainTable(record) ? record.route : undefined;
  });
}

function dumpNeighbours(sockets: Sockets, nameOf: DeviceName, family: Family): Promise<Neighbour[]> {
  return sockets.dump(neighbourDump(family), ({ body }) => {
    const record = known(decodeNeighbour(body, nameOf));
    if (!record?.isPermanent || record.mac === undefined) return undefined;
    const { address, device, mac } = record;
    return { address, device, mac };
  });
}

/** Objects that the codec cannot read are not ours: leave them out. */
function known<T extends object>(record: T | Malformed | undefined): T | undefined {
  return record === undefined || isMalformed(record) ? undefined : record;
}

function namesOf(links: readonly LinkRecord[]): ReadonlyMap<number, string> {
  return new Map(links.map(({ link }) => [link.index, link.name]));
}

/** Names of iproute2 for linux/rtnetlink.h RT_SCOPE_*. */
function scopeName(scope: number): string {
  switch (scope) {
    case RT_SCOPE.UNIVERSE:
      return 'global';
    case RT_SCOPE.LINK:
      return 'link';
    case RT_SCOPE.HOST:
      return 'host';
    default:
      return String(scope);
  }
}
