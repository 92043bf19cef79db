/** A path to a prefix, as learned from a peer or originated here. */
import type { PathAttributes } from '../wire/attributes.ts';

/** Where a path comes from. One object per peer and session, shared by its paths. */
export interface PathSource {
  /** Key of the peer; undefined for what this speaker originates. */
  readonly peer: string | undefined;
  readonly isIbgp: boolean;
  /** BGP identifier of the peer, dotted quad. */
  readonly identifier: string;
  /** Address of the peer. */
  readonly address: string;
}

export interface Path {
  readonly source: PathSource;
  readonly attributes: PathAttributes;
  /** Kept from a peer that is restarting (RFC 4724). */
  readonly isStale: boolean;
  /** Why the path may not be used, such as a loop; undefined when it may. */
  readonly rejection: string | undefined;
}

export const localSource: PathSource = { peer: undefined, isIbgp: false, identifier: '0.0.0.0', address: '' };
