/** Reasons for which a received path is not used. */

/** A kind for metrics and counts, and a reason as text. The reason names no prefix, so that many paths share it. */
export interface Rejection {
  readonly kind: RejectionKind;
  readonly reason: string;
}

/**
 * protocol: a loop, a leak or RFC 8212; next-hop: an unusable next hop; filter: a BGPFilter, or attributes that filters
 * make too long. The others belong to the import policy for the kernel (felix/calc/bgp/kernel-import.ts).
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
