/** Where a node's addresses come from: blocks of the cluster's pools (ipam.ts), or its own podCIDR (pod-cidr.ts). */
import type { Family } from '../lib/cidr.ts';
import { CodedError } from '../lib/errors.ts';
import type { Owner } from './block.ts';

export interface AssignRequest extends Owner {
  readonly families: readonly Family[];
  readonly namespaceLabels: Readonly<Record<string, string>>;
  /** Pools by name or CIDR, per family, instead of those that select the node. */
  readonly pools?: Readonly<Partial<Record<Family, readonly string[]>>>;
  /** Exactly these addresses instead of any. */
  readonly addresses?: readonly string[];
  /** What pools must allow; Workload when undefined. */
  readonly use?: 'Workload' | 'Tunnel';
}

export type IpamErrorCode = 'NO_POOL' | 'EXHAUSTED' | 'BLOCK_LIMIT' | 'ADDRESS_TAKEN' | 'ADDRESS_OUTSIDE';

/** No address can be given; the message says why and what to do. */
export class IpamError extends CodedError<IpamErrorCode> {}

export interface AddressSource {
  /**
   * Assigns one address per family (or exactly the requested ones), all or nothing. A repeated request of
   * the same handle gets what the handle already holds. Throws IpamError or DatastoreError.
   */
  assign(request: AssignRequest): Promise<string[]>;
  /** Frees everything that a handle holds; returns the addresses. A handle that is not there is no error. */
  releaseHandle(handleId: string): Promise<string[]>;
  /** What a handle holds, as far as it is known here. */
  held(handleId: string): string[];
}
