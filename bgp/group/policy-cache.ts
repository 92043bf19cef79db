/** Applies export policy: a path becomes values, passes the policy, and becomes a row of the attribute table again. */
import type { ExportPolicy, PolicyResult } from '../policy/export.ts';
import { attributesOf, internAttributes, TOO_LONG_BY_POLICY } from '../rib/attribute-values.ts';
import type { Rib } from '../rib/rib.ts';
import { LOCAL } from '../rib/source.ts';

/** Instead of a row: the policy refuses the path. */
export const REFUSED = -1;
/** Instead of a row: the policy accepts the path, but its result does not fit into an UPDATE. */
export const TOO_LONG = -2;

export class PolicyCache {
  readonly #policy: ExportPolicy;
  readonly #rib: Rib;
  /** The row that `apply` returned last, with a reference until the next call. */
  #held = -1;

  constructor(policy: ExportPolicy, rib: Rib) {
    this.#policy = policy;
    this.#rib = rib;
  }

  /** Row of the attributes to announce for a path, or REFUSED, or TOO_LONG. The row is valid until the next call. */
  apply(path: number): number {
    const { attributes, paths } = this.#rib;
    const row = paths.attributes[path]!;
    const before = attributesOf(attributes, row);
    const result = this.#judge(path, before);
    if (!result.isAccepted) return REFUSED;
    if (result.attributes === before) return row;
    const made = internAttributes(attributes, result.attributes);
    if (made === undefined) return TOO_LONG;
    this.dispose();
    this.#held = made;
    return made;
  }

  dispose(): void {
    if (this.#held >= 0) this.#rib.attributes.release(this.#held);
    this.#held = -1;
  }

  /** Why a path is refused; undefined when it is not. */
  refusal(path: number): string | undefined {
    const result = this.#judge(path, attributesOf(this.#rib.attributes, this.#rib.paths.attributes[path]!));
    if (!result.isAccepted) return result.reason;
    return this.apply(path) === TOO_LONG ? TOO_LONG_BY_POLICY : undefined;
  }

  #judge(path: number, attributes: ReturnType<typeof attributesOf>): PolicyResult {
    const { paths, prefixes, sources } = this.#rib;
    const source = paths.source[path]!;
    return this.#policy.apply({
      prefix: prefixes.text(paths.prefix[path]!),
      attributes,
      isLocal: source === LOCAL,
      isIbgp: sources.at(source).isIbgp,
    });
  }
}
