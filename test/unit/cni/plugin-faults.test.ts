import { expect, it } from 'vitest';
import { CniWorld, type Fault } from '../../helpers/cni-world.ts';

const faults: readonly Fault[] = ['refused', 'lost answer', 'agent dies'];

async function started(): Promise<CniWorld> {
  const world = await CniWorld.open();
  await world.createPod('web');
  world.createContainer('c1');
  return world;
}

/** Returns the steps of one call, without a fault. */
async function stepsOf(prepare: (world: CniWorld) => Promise<unknown>, command: string): Promise<string[]> {
  const world = await started();
  await prepare(world);
  world.trace = [];
  await world.call(command, 'c1', 'web');
  await world.settle();
  return world.trace;
}

/** Runs a call with a fault at its step `at`. Afterwards the agent runs, again if it died. */
async function faulty(world: CniWorld, command: string, fault: Fault, at: number) {
  const first = world.steps;
  world.fault = (step) => (step === first + at ? fault : undefined);
  const { exitCode } = await world.call(command, 'c1', 'web');
  // The fault may be in what follows the answer.
  await world.time.run(1000);
  world.fault = () => undefined;
  if (fault === 'agent dies') await world.restart();
  return exitCode;
}

it.each(faults)('an ADD with a fault at any step (%s) leaves nothing after DEL', async (fault) => {
  const steps = await stepsOf(async () => {}, 'ADD');
  expect(steps.length).toBeGreaterThan(20);
  for (const [at, what] of [...steps, 'the answer'].entries()) {
    const world = await started();
    const exitCode = await faulty(world, 'ADD', fault, at + 1);
    const place = `${fault} at step ${at + 1}, ${what}`;
    // What has succeeded works, and what has failed is cleaned up, unless the agent died.
    expect(world.violations({ isExact: exitCode === 0 }), place).toEqual([]);
    expect((await world.call('DEL', 'c1', 'web')).exitCode, place).toBe(0);
    await world.settle();
    expect(world.leftovers(), place).toEqual([]);
    // The pod's next container finds a node that works.
    world.endContainer('c1');
    world.createContainer('c2');
    expect((await world.call('ADD', 'c2', 'web')).exitCode, place).toBe(0);
    expect(world.violations({ isExact: true }), place).toEqual([]);
  }
});

it.each(faults)(
  'a DEL with a fault at any step (%s) is completed by the agent, or by the next DEL if it failed',
  async (fault) => {
    const add = (world: CniWorld) => world.call('ADD', 'c1', 'web');
    const steps = await stepsOf(add, 'DEL');
    expect(steps.length).toBeGreaterThan(8);
    for (const [at, what] of steps.entries()) {
      const world = await started();
      await add(world);
      const exitCode = await faulty(world, 'DEL', fault, at + 1);
      const place = `${fault} at step ${at + 1}, ${what}`;
      // After success, the runtime does not call again: the agent completes the removal itself, also after a restart.
      if (exitCode !== 0) expect((await world.call('DEL', 'c1', 'web')).exitCode, place).toBe(0);
      await world.settle();
      expect(world.leftovers(), place).toEqual([]);
      await world.restart();
      expect(world.leftovers(), `${place}, after a restart`).toEqual([]);
    }
  },
);
