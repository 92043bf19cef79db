/** Random histories of CNI calls, faults, restarts and ends of containers. A seed gives the same history again. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CniWorld, type Fault } from '../../helpers/cni-world.ts';
import type { VirtualTime } from '../../helpers/virtual-time.ts';

const RUNS = 20;
const ROUNDS = 20;
const pods = ['a', 'b', 'c', 'd', 'e', 'f'];
const faults: readonly Fault[] = ['refused', 'lost answer', 'agent dies'];

/** Containers of one pod replace each other, so their names begin with the pod's. */
const podOf = (container: string) => container[0]!;

class History {
  readonly world: CniWorld;
  /** Containers that were created, and still need DEL. */
  readonly containers: string[] = [];
  calls = 0;
  readonly #time: VirtualTime;

  constructor(world: CniWorld) {
    this.world = world;
    this.#time = world.time;
  }

  /** Some calls at once, which may meet a fault. Afterwards everything is as it should be. */
  async round(): Promise<void> {
    const { world } = this;
    const fault = this.#time.below(3) === 0 ? this.#plantFault() : undefined;
    const acts = Array.from({ length: 1 + this.#time.below(4) }, () => this.#act());
    const answers = await Promise.all(acts);
    world.fault = () => undefined;
    if (this.#time.below(2) === 0) await world.time.run(1000);
    if (fault === 'agent dies' || this.#time.below(8) === 0) await world.restart();
    // Half of the rounds begin while the one before is being completed.
    if (!fault && this.#time.below(2) === 0) return;
    await world.settle();
    expect(world.violations({ isExact: fault === undefined, areWhole: fault === undefined })).toEqual([]);
    if (!fault) return;
    // The runtime deletes the containers of a pod whose call failed.
    const failed = answers.filter(({ exitCode }) => exitCode !== 0).map(({ container }) => podOf(container));
    for (const container of this.containers)
      if (failed.includes(podOf(container))) await this.#delete(container);
    await world.settle();
    expect(world.violations({ isExact: true })).toEqual([]);
  }

  #plantFault(): Fault {
    const at = this.world.steps + 1 + this.#time.below(30);
    const fault = this.#pick(faults);
    this.world.fault = (step) => (step === at ? fault : undefined);
    return fault;
  }

  async #act(): Promise<{ container: string; exitCode: number }> {
    const action = this.#time.below(10);
    const isNew = this.containers.length === 0 || action < 4;
    const container = isNew ? this.#create() : this.#pick(this.containers);
    if (action === 9) this.world.endContainer(container);
    const command = isNew || action === 8 ? 'ADD' : action === 7 ? 'CHECK' : 'DEL';
    this.calls++;
    const { exitCode } = await this.world.call(command, container, podOf(container));
    return { container, exitCode };
  }

  #create(): string {
    const container = `${this.#pick(pods)}${this.containers.length}`;
    this.containers.push(container);
    this.world.createContainer(container);
    return container;
  }

  async #delete(container: string): Promise<void> {
    this.calls++;
    expect((await this.world.call('DEL', container, podOf(container))).exitCode).toBe(0);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#time.below(list.length)]!;
  }

  /** The runtime deletes every container. */
  async end(): Promise<void> {
    for (const container of this.containers) await this.#delete(container);
    await this.world.settle();
    expect(this.world.leftovers()).toEqual([]);
  }
}

async function run(seed: number): Promise<{ steps: number; calls: number }> {
  const world = await CniWorld.open(seed);
  for (const pod of pods) await world.createPod(pod);
  const history = new History(world);
  for (let round = 0; round < ROUNDS; round++) await history.round();
  await history.end();
  return { steps: world.steps, calls: history.calls };
}

it('after any history of calls the kernel has what the endpoints say, no address is assigned twice, and DEL leaves nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), async (seed) => {
      const { steps, calls } = await run(seed);
      expect(steps).toBeGreaterThan(calls);
    }),
    { numRuns: RUNS },
  );
});
