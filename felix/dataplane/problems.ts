/** Logs problems that persist. Short-lived ones are common, because interfaces come and go during an observation. */
import type { Log } from '../../lib/log.ts';
import type { Summary } from './summary.ts';

const MESSAGE = 'the kernel differs from the desired state';

export class Problems {
  readonly #log: Log;
  /** Problems of the last observation, and whether each was logged as a warning. */
  #known: ReadonlyMap<string, 'new' | 'reported'> = new Map();

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * Records an observation's problems and warns of those seen a second time. True if one is new: observe again soon.
   */
  update(problems: readonly Summary[]): boolean {
    const serious = problems.filter(({ isPassing }) => !isPassing).map(({ text }) => text);
    const lasting = serious.filter((problem) => this.#known.get(problem) === 'new');
    const fresh = serious.filter((problem) => !this.#known.has(problem));
    if (lasting.length > 0) this.#log.warn({ problems: lasting }, MESSAGE);
    if (fresh.length > 0) this.#log.debug({ problems: fresh }, MESSAGE);
    this.#known = new Map(serious.map((problem) => [problem, this.#known.has(problem) ? 'reported' : 'new']));
    return fresh.length > 0;
  }
}
