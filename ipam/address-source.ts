/** The source of a node's addresses: blocks of the cluster's pools (ipam.ts), or the node's podCIDR (pod-cidr.ts). */
import type { Family } from '../lib/cidr.ts';
import { CodedError } from '../lib/errors.ts';
import type { Owner } from './block.ts';

export interface AssignRequest extends Owner {
  readonly families: readonly Family[];
  readonly namespaceLabels: Readonly<Record<string, string>>;
  /** Pools by name or CIDR, per family, instead of those that select the node. */
  readonly pools?: Readonly<Partial<Record<Family, readonly string[]>>>;
  /** The exact addresses to assign; undefined: any. */
  readonly addresses?: readonly string[];
  /** The use that the pools must allow; Workload when undefined. */
  readonly use?: 'Workload' | 'Tunnel';
}

export type IpamErrorCode = 'NO_POOL' | 'EXHAUSTED' | 'BLOCK_LIMIT' | 'ADDRESS_TAKEN' | 'ADDRESS_OUTSIDE';

/** No address can be assigned. The message states the reason and a remedy. */
export class IpamError extends CodedError<IpamErrorCode> {}

export interface AddressSource {
  /**
   * Assigns one address per family, or exactly the requested ones: all or nothing. A repeated request of the same
   * handle returns the addresses that it already holds. Throws IpamError or DatastoreError.
   */
  assign(request: AssignRequest): Promise<string[]>;
  /**
   * Releases the addresses of a handle that this node knows of. `releaseHandle` must follow, which also removes the
   * handle.
   */
  releaseAddresses(handleId: string): Promise<void>;
  /** Releases a handle's addresses and returns them. A missing handle is not an error. */
  releaseHandle(handleId: string): Promise<string[]>;
  /** Returns a handle's addresses, as far as this node knows them. */
  held(handleId: string): string[];
}
