/**
 * A run of chaos: rounds of random actions in a lab. At the end of each round, everything must work again and nothing
 * may be left over. After the last round, chaos deletes everything that it made, and the lab must be as before.
 */

import { Random } from '../fuzz/random.ts';
import { TestLab, until } from '../helpers/lab.ts';
import { type Explained, leftovers, prefixesOf } from './leftovers.ts';
import { unexplained } from './log-lines.ts';
import { pause, performAction, remember, type Uplinks } from './perform.ts';
import {
  type Action,
  after,
  describeAction,
  type Model,
  modelOf,
  nextAction,
  removals,
  repairs,
} from './plan.ts';

export interface ChaosOptions {
  readonly seed: number;
  /** Maximum number of actions. */
  readonly steps: number;
  /** The run ends after the round in which this time, in milliseconds, has passed. */
  readonly untilMs: number;
  /** Number of actions per round. */
  readonly roundSteps: number;
  readonly say: (text: string) => void;
}

export interface ChaosResult {
  readonly steps: number;
  readonly rounds: number;
  /** Unexplained log lines above info, each once with its count. */
  readonly logLines: readonly string[];
  /** Each action and each wait, with its start time in seconds. */
  readonly trail: readonly string[];
}

/** Generous: the expected state must be reached, not reached soon. */
const PATIENCE_MS = 120_000;
const NODES = ['node1', 'node2', 'node3'];

/** Runs chaos. Throws with the fault and the actions that led to it. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const lab = await TestLab.start(['--nodes', String(NODES.length), '--pods', '0', '--subnets', '2']);
  const chaos = new Chaos(lab, options);
  try {
    return await chaos.run();
  } catch (error) {
    const trail = chaos.trail.slice(-40).join('\n  ');
    throw new Error(`${String(error)}\nseed ${options.seed}, the last actions:\n  ${trail}\n${chaos.logs()}`);
  } finally {
    await lab.stop();
  }
}

class Chaos {
  readonly trail: string[] = [];
  readonly #lab: TestLab;
  readonly #options: ChaosOptions;
  readonly #random: Random;
  readonly #uplinks: Uplinks = new Map();
  #model: Model = modelOf(NODES);

  constructor(lab: TestLab, options: ChaosOptions) {
    this.#lab = lab;
    this.#options = options;
    this.#random = new Random(options.seed);
  }

  async run(): Promise<ChaosResult> {
    const { steps, untilMs, roundSteps, say } = this.#options;
    for (const node of NODES) remember(this.#lab, this.#uplinks, node);
    const startedAt = performance.now();
    let done = 0;
    let rounds = 0;
    while (done < steps && performance.now() - startedAt < untilMs) {
      for (let i = 0; i < roundSteps && done < steps; i++, done++) {
        await this.#do(nextAction(this.#model, this.#random));
        // Some actions follow at once, others while the effects of the last one are still in progress.
        await pause(this.#random.below(4) * 100);
      }
      for (const action of repairs(this.#model)) await this.#do(action);
      await this.#settle();
      rounds++;
      say(
        `round ${rounds}: ${done} actions, ${this.#model.pods.size} pods on ${this.#model.nodes.size} nodes: no faults`,
      );
    }
    for (const action of removals(this.#model)) await this.#do(action);
    await this.#settle();
    say('everything was deleted, and nothing is left over');
    return { steps: done, rounds, logLines: this.#logLines(), trail: this.trail };
  }

  async #do(action: Action): Promise<void> {
    this.#note(describeAction(action));
    await performAction(this.#lab, this.#uplinks, action);
    this.#model = after(this.#model, action);
  }

  #note(what: string): void {
    this.trail.push(`${(performance.now() / 1000).toFixed(1)} s: ${what}`);
  }

  /**
   * Waits until every pod reaches every pod and node, IPAM is clean, deleted pools are gone, and nothing is left over.
   */
  async #settle(): Promise<void> {
    const lab = this.#lab;
    let last = '';
    const wait = (what: string, check: () => Promise<string> | string) => {
      this.#note(what);
      return until(what, PATIENCE_MS, async () => {
        last = await check();
        if (last !== '') await pause(500);
        return last === '';
      }).catch((error: unknown) => {
        throw new Error(`${String(error)}: ${last}`);
      });
    };
    await wait('every pod reaches every pod and node', async () =>
      (await lab.unreachable(3_000))
        .map(({ from, to, address }) => `${from} to ${to} (${address})`)
        .join(', '),
    );
    await wait('calictl ipam check is clean', () => {
      const { code, stdout, stderr } = lab.exec('lab', 'calictl', 'ipam', 'check');
      return code === 0 ? '' : `${stdout}${stderr}`;
    });
    await wait('unused deleted pools are gone', () => this.#pools());
    await wait('nothing is left over', () => leftovers(lab, this.#explained()).join('\n'));
  }

  /** Returns deleted pools that still exist; empty while there are pods, which may use them. */
  #pools(): string {
    if (this.#model.pods.size > 0) return '';
    const names = this.#lab.sh('lab', 'calictl get ippools').trim().split('\n').slice(1);
    const extra = names.map((line) => line.split(/\s+/)[0]!).filter((name) => !name.startsWith('default-'));
    return extra.filter((name) => !this.#model.pools.has(name)).join(', ');
  }

  #explained(): Explained {
    const { nodes, pods } = this.#model;
    return { nodes: [...nodes.keys()], pods, prefixes: prefixesOf(this.#lab) };
  }

  #logLines(): string[] {
    const counts = new Map<string, number>();
    for (const line of unexplained(this.#lab.sh('lab', 'cat /run/cali-lab/log/*.log'))) {
      // The same message about another object counts as the same line.
      const key = line.replaceAll(/\d+/g, '0');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return [...counts].map(([line, count]) => `${count} x ${line}`);
  }

  /** Returns the unexplained log lines, to help find the cause. */
  logs(): string {
    try {
      return this.#logLines().slice(0, 30).join('\n');
    } catch (error) {
      return String(error);
    }
  }
}
