/** Summarises problems that many objects share: a peer can announce thousands of routes with unreachable next hops. */
import type { Problem } from './part.ts';

/** A sentence about one or more objects. */
export interface Summary {
  readonly text: string;
  /** Whether the problems usually end within a second. */
  readonly isPassing: boolean;
}

/** Up to this many objects with the same reason get a sentence each. */
const MAX_EACH = 3;
const MAX_SENTENCES = 20;

/**
 * Returns a sentence per object, or one for all objects that share a reason: at most 20, and one that states that there
 * are more. Counts are rounded down to a power of ten, so that a lasting problem keeps its sentence. `kind` is the
 * plural name of the objects.
 */
export function summarise(problems: readonly Problem[], kind: string): Summary[] {
  const summaries = [...groups(problems)].flatMap((group) => sentences(group, kind));
  return summaries.length > MAX_SENTENCES
    ? [
        ...summaries.slice(0, MAX_SENTENCES),
        { text: `further ${kind} have problems`, isPassing: summaries.every(({ isPassing }) => isPassing) },
      ]
    : summaries;
}

/** Problems with the same reason and kind of subject. */
function groups(problems: readonly Problem[]): Iterable<readonly Problem[]> {
  const map = new Map<string, Problem[]>();
  for (const problem of problems) {
    const key = `${problem.subject !== undefined} ${problem.reason}`;
    const group = map.get(key);
    if (group) group.push(problem);
    else map.set(key, [problem]);
  }
  return map.values();
}

function sentences(group: readonly Problem[], kind: string): Summary[] {
  const [{ reason, subject, isPassing = false } = { reason: '', subject: '' }] = group;
  // Whole sentences name their objects.
  if (subject === '') return [{ text: reason, isPassing }];
  const named = group.map((problem) => problem.subject ?? problem.object);
  if (group.length <= MAX_EACH) return named.map((name) => ({ text: `${name}: ${reason}`, isPassing }));
  const what = subject === undefined ? kind : 'commands';
  return [{ text: `${atLeast(group.length)} ${what}, such as ${named[0]}: ${reason}`, isPassing }];
}

function atLeast(count: number): string {
  const power = 10 ** Math.floor(Math.log10(count));
  return power === 1 ? 'several' : `at least ${power.toLocaleString('en')}`;
}
