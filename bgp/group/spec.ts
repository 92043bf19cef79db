/** What the peers of an update group have in common, so that all of them receive the same bytes. */
import type { Family } from '../../lib/cidr.ts';
import type { ExportPolicy } from '../policy/export.ts';

export interface GroupSpec {
  readonly family: Family;
  readonly isIbgp: boolean;
  /** Whether the peers are route reflector clients of this speaker (RFC 4456). */
  readonly isClient: boolean;
  /** Cluster ID of this speaker as a number; 0 when it does not reflect. */
  readonly clusterId: number;
  readonly localAs: number;
  readonly isFourOctetAs: boolean;
  /** 4,096 octets, or 65,535 with extended messages (RFC 8654). */
  readonly maxMessageLength: number;
  readonly hasAddPath: boolean;
  /** Whether IPv4 routes may have an IPv6 next hop (RFC 8950). */
  readonly hasExtendedNextHop: boolean;
  /** Whether the peers understand LLGR_STALE (RFC 9494). */
  readonly hasLongLived: boolean;
  /** Auto keeps the next hop inside the AS, and sets this speaker's address at its border and on local routes. */
  readonly nextHopMode: 'Auto' | 'Self' | 'Keep';
  /** Our next hop for this family as hex: 4, 16 or 32 octets; empty when there is none. */
  readonly selfNextHop: string;
  /** Whether the peers are clients of this route server, which forwards routes unchanged (RFC 7947). */
  readonly isRouteServer: boolean;
  /** Whether to add OTC: the peers are customers, peers or route server clients (RFC 9234 section 5). */
  readonly addsOtc: boolean;
  /** Whether to withhold routes with OTC: the peers are providers, peers or route servers. */
  readonly refusesOtc: boolean;
  /** LOCAL_PREF of routes that have none. */
  readonly localPref: number;
  /** Export policy; undefined accepts every route. Policies with the same key are equal. */
  readonly policy: ExportPolicy | undefined;
}

export function groupKey({ policy, ...rest }: GroupSpec): string {
  return JSON.stringify([rest, policy?.key]);
}
