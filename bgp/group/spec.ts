/** The properties that peers of an update group share, so that all get the same bytes. */
import type { Family } from '../../lib/cidr.ts';
import type { ExportPolicy } from '../policy/export.ts';

export interface GroupSpec {
  readonly family: Family;
  readonly isIbgp: boolean;
  /** The peers are route reflector clients of this speaker (RFC 4456). */
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
  /** Auto keeps the next hop within the AS and sets self at its boundary. Local routes always have self. */
  readonly nextHopMode: 'Auto' | 'Self' | 'Keep';
  /** Our next hop for this family as hex: 4, 16 or 32 octets; empty when there is none. */
  readonly selfNextHop: string;
  /** The peers are clients of this route server: routes of other clients are passed on unchanged (RFC 7947). */
  readonly isRouteServer: boolean;
  /** RFC 9234: add OTC to routes for customers, peers and route server clients. */
  readonly addsOtc: boolean;
  /** Do not send routes with OTC to providers, peers and route servers. */
  readonly refusesOtc: boolean;
  /** LOCAL_PREF for routes without one. */
  readonly localPref: number;
  /** Export policy; undefined accepts every route. Policies with the same key are equal. */
  readonly policy: ExportPolicy | undefined;
}

export function groupKey({ policy, ...rest }: GroupSpec): string {
  return JSON.stringify([rest, policy?.key]);
}
