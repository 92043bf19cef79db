/** Why a received path is not used. */

/** A class for metrics and counts, and a sentence for people, which names no prefix: it is the same for all of them. */
export interface Rejection {
  readonly kind: RejectionKind;
  readonly reason: string;
}

/**
 * protocol: a loop, a leak, RFC 8212; next-hop: it leads nowhere; filter: a BGPFilter, or what filters make of the
 * attributes. The others are of the import policy for the kernel (felix/calc/bgp/kernel-import.ts).
 */
export type RejectionKind =
  | 'protocol'
  | 'next-hop'
  | 'filter'
  | 'martian'
  | 'own-address'
  | 'default-route'
  | 'outside-pools'
  | 'infrastructure'
  | 'workload';

export const rejectionKinds: readonly RejectionKind[] = [
  'protocol',
  'next-hop',
  'filter',
  'martian',
  'own-address',
  'default-route',
  'outside-pools',
  'infrastructure',
  'workload',
];
