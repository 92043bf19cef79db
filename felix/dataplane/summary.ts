/** Summarises problems that many objects share: a peer can announce thousands of routes with unreachable next hops. */

export interface ObjectProblem {
  /** For example `route 10.0.0.0/26`. */
  readonly object: string;
  readonly reason: string;
}

/** Up to this many objects with the same reason get a sentence each. */
const MAX_EACH = 3;
const MAX_SENTENCES = 20;

/**
 * Returns a sentence per object, or one for all objects that share a reason: at most 20, and one that states that there
 * are more. Counts are rounded down to a power of ten, so that a lasting problem keeps its sentence. `kind` is the
 * plural name of the objects.
 */
export function summarise(problems: readonly ObjectProblem[], kind: string): string[] {
  const byReason = new Map<string, ObjectProblem[]>();
  for (const problem of problems) {
    const known = byReason.get(problem.reason);
    if (known) known.push(problem);
    else byReason.set(problem.reason, [problem]);
  }
  const sentences = [...byReason].flatMap(([reason, list]) =>
    list.length <= MAX_EACH
      ? list.map(({ object }) => `${object}: ${reason}`)
      : [`${atLeast(list.length)} ${kind}, such as ${list[0]!.object}: ${reason}`],
  );
  return sentences.length > MAX_SENTENCES
    ? [...sentences.slice(0, MAX_SENTENCES), `further ${kind} have problems`]
    : sentences;
}

function atLeast(count: number): string {
  const power = 10 ** Math.floor(Math.log10(count));
  return power === 1 ? 'several' : `at least ${power.toLocaleString('en')}`;
}
