/** What a peer is told about one route, beyond the rules of the protocol, which the update group applies. */

import type { PathAttributes } from '../wire/attributes.ts';
import type { Prefix } from '../wire/nlri.ts';

/** A route as policy sees it. */
export interface PolicyRoute {
  readonly prefix: Prefix;
  readonly attributes: PathAttributes;
  /** Originated by this speaker. */
  readonly isLocal: boolean;
  /** Learned from an internal peer. */
  readonly isIbgp: boolean;
}

export type PolicyResult =
  | {
      readonly isAccepted: true;
      readonly attributes: PathAttributes;
      /** By a rule, and not because none matched. */
      readonly isExplicit?: boolean;
    }
  | { readonly isAccepted: false; readonly reason: string };

export interface ExportPolicy {
  /** Equal keys, equal behaviour. */
  readonly key: string;
  apply(route: PolicyRoute): PolicyResult;
}
