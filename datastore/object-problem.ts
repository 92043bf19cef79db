/** What is wrong with an object of the API, as status, Events, conditions and the log show it. */

import { printable } from '../lib/plain-text.ts';

export interface ObjectProblem {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  /** Path such as `spec.cidr`; absent when the whole object is meant. */
  readonly field?: string;
  /** A sentence: what is wrong, and what is done with the object until it is corrected. */
  readonly reason: string;
}

/** `IPPool p: spec.cidr: …`, for lines of text. */
export function describeProblem({ kind, name, namespace, field, reason }: ObjectProblem): string {
  const place = namespace ? `${namespace}/${name}` : name;
  return printable(`${kind} ${place}: ${field ? `${field}: ` : ''}${reason}`);
}
