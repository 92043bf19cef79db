/** What peers must have in common to be sent the same bytes: an update group. */
import type { Family } from '../../lib/cidr.ts';
import type { ExportPolicy } from '../policy/export.ts';

export interface GroupSpec {
  readonly family: Family;
  readonly isIbgp: boolean;
  /** The peers are our route reflection clients (RFC 4456). */
  readonly isClient: boolean;
  /** Cluster ID of this speaker as a number; 0 when it does not reflect. */
  readonly clusterId: number;
  readonly localAs: number;
  readonly isFourOctetAs: boolean;
  /** 4,096, or 65,535 with RFC 8654. */
  readonly maxMessageLength: number;
  readonly hasAddPath: boolean;
  /** IPv4 routes with an IPv6 next hop may be sent (RFC 8950). */
  readonly hasExtendedNextHop: boolean;
  /** The peers understand long-lived stale routes (RFC 9494). */
  readonly hasLongLived: boolean;
  /** Auto: kept within the AS, self at its edge. Routes of our own always have self. */
  readonly nextHopMode: 'Auto' | 'Self' | 'Keep';
  /** Our next hop for this family as hex: 4, 16 or 32 octets; empty when we have none. */
  readonly selfNextHop: string;
  /** RFC 9234: OTC is added to what goes to customers, peers and route server clients. */
  readonly addsOtc: boolean;
  /** Routes with OTC are kept back from providers, peers and route servers. */
  readonly refusesOtc: boolean;
  /** LOCAL_PREF of routes that have none. */
  readonly localPref: number;
  /** What depends on the single route; undefined: every route. Compared by its key. */
  readonly policy: ExportPolicy | undefined;
}

export function groupKey({ policy, ...rest }: GroupSpec): string {
  return JSON.stringify([rest, policy?.key]);
}
