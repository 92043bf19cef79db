/** Which problems of the kernel somebody should hear of: interfaces come and go while a look at it is under way. */
import type { Log } from '../../lib/log.ts';

const MESSAGE = 'the kernel is not what it should be';

export class Problems {
  readonly #log: Log;
  /** Those of the last look, and whether somebody was told. */
  #known: ReadonlyMap<string, 'new' | 'told'> = new Map();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Takes those of a look, and warns of what is there a second time. True when there is a new one: look again soon. */
  update(problems: readonly string[]): boolean {
    // While a pod is being added, its endpoint is known a moment before its interface.
    const serious = problems.filter((problem) => !problem.endsWith(' is not there'));
    const lasting = serious.filter((problem) => this.#known.get(problem) === 'new');
    const fresh = serious.filter((problem) => !this.#known.has(problem));
    if (lasting.length > 0) this.#log.warn({ problems: lasting }, MESSAGE);
    if (fresh.length > 0) this.#log.debug({ problems: fresh }, MESSAGE);
    this.#known = new Map(serious.map((problem) => [problem, this.#known.has(problem) ? 'told' : 'new']));
    return fresh.length > 0;
  }
}
