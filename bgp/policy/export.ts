/** Export policy for one route. The update group applies the rules of the protocol. */

import type { PathAttributes } from '../wire/attributes.ts';
import type { Prefix } from '../wire/nlri.ts';

/** A route as input of a policy. */
export interface PolicyRoute {
  readonly prefix: Prefix;
  readonly attributes: PathAttributes;
  /** Whether this speaker originates the route. */
  readonly isLocal: boolean;
  /** Whether the route was learned from an internal peer. */
  readonly isIbgp: boolean;
}

export type PolicyResult =
  | {
      readonly isAccepted: true;
      readonly attributes: PathAttributes;
      /** Whether a rule accepted the route. Otherwise, no rule matched. */
      readonly isExplicit?: boolean;
    }
  | { readonly isAccepted: false; readonly reason: string };

export interface ExportPolicy {
  /** Policies with equal keys behave equally. */
  readonly key: string;
  apply(route: PolicyRoute): PolicyResult;
}
