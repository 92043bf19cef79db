/** A fault of an object of the API, for status, Events, conditions and the log. */

import { printable } from '../lib/plain-text.ts';

export interface ObjectProblem {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  /** Path such as `spec.cidr`; absent for a fault of the whole object. */
  readonly field?: string;
  /** A sentence with the fault, and the effect until it is corrected. */
  readonly reason: string;
}

/** Returns a line such as `IPPool p: spec.cidr: …`. */
export function describeProblem({ kind, name, namespace, field, reason }: ObjectProblem): string {
  const place = namespace ? `${namespace}/${name}` : name;
  return printable(`${kind} ${place}: ${field ? `${field}: ` : ''}${reason}`);
}
