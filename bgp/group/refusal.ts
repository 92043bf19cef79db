/** Why a path is not advertised to the peers of a group, as a sentence. */
import type { Rib } from '../rib/rib.ts';
import { LOCAL } from '../rib/source.ts';
import { MAX_MESSAGE_LENGTH } from '../wire/iana.ts';
import { AttributeFact } from '../wire/scan.ts';
import type { AttributeEncoder } from './attribute-encoder.ts';
import type { GroupSpec } from './spec.ts';

/** Why the protocol keeps a path from the peers of a group; undefined when it may be advertised. */
export function protocolRefusal(
  spec: GroupSpec,
  rib: Rib,
  encoder: AttributeEncoder,
  path: number,
): string | undefined {
  const row = rib.paths.attributes[path]!;
  const facts = rib.attributes.flags[row]!;
  const source = rib.paths.source[path]!;
  const from = rib.sources.at(source);
  if (from.peer !== undefined && from.isIbgp && spec.isIbgp) {
    if (spec.clusterId === 0) return 'routes of internal peers are not advertised to internal peers';
    if (!from.isClient && !spec.isClient)
      return 'neither the sender nor this peer is a route reflector client';
  }
  // RFC 7947 section 2.2.4: a route server passes communities on and does not act on them.
  const isTransparent = encoder.isTransparent(source);
  if (facts & AttributeFact.NO_ADVERTISE && !isTransparent) return 'community NO_ADVERTISE';
  if (facts & AttributeFact.NO_EXPORT && !spec.isIbgp && !isTransparent) return 'community NO_EXPORT';
  if (facts & AttributeFact.OTC && spec.refusesOtc) return 'OTC: only to customers (RFC 9234)';
  if (facts & AttributeFact.LLGR_STALE && !spec.hasLongLived)
    return 'long-lived stale, and the peer does not support such routes (RFC 9494)';
  return nextHopRefusal(spec, encoder, row, source);
}

function nextHopRefusal(
  spec: GroupSpec,
  encoder: AttributeEncoder,
  row: number,
  source: number,
): string | undefined {
  if (encoder.isTransparent(source) && encoder.isLinkLocal(row))
    return 'its next hop is link-local, and a route server does not change next hops (RFC 7947 section 2.2.1)';
  const octets = encoder.nextHopLength(row, source);
  if (octets === 0) {
    const reason = `this speaker has no IPv${spec.family} address for the next hop`;
    return source !== LOCAL && encoder.isLinkLocal(row)
      ? `its next hop is link-local, and ${reason} (RFC 2545 section 3)`
      : reason;
  }
  if (spec.family === 4 && octets > 4 && !spec.hasExtendedNextHop)
    return 'its next hop is IPv6, which the peer does not support for IPv4 routes (RFC 8950)';
  return undefined;
}

/** The reason for an UPDATE that is longer than the peer accepts. */
export function tooLongReason(octets: number, limit: number): string {
  const remedy =
    limit === MAX_MESSAGE_LENGTH ? '; a peer with extended messages (RFC 8654) accepts 65,535' : '';
  return `its attributes are too long: the UPDATE would have ${octets} octets, the peer accepts ${limit} (RFC 4271 section 9.2)${remedy}`;
}
