import { expect, it } from 'vitest';
import { ObjectEvents } from '../../../../agent/report/object-events.ts';
import type { UnreadableObject } from '../../../../datastore/informer.ts';

const trouble = (kind: string, name: string, namespace?: string): UnreadableObject => ({
  problem: { kind, name, reason: 'r', ...(namespace ? { namespace } : {}) },
  uid: undefined,
  conditions: undefined,
  isAbsent: true,
});
function recorded() {
  const state = { written: [] as string[], isBroken: false };
  const events = new ObjectEvents({
    ofObject: ({ kind, name }) => {
      if (!state.isBroken) state.written.push(`${kind} ${name}`);
      return Promise.resolve(!state.isBroken);
    },
  });
  return { state, events };
}
const settled = () => new Promise((resolve) => setTimeout(resolve, 1));

it('objects that get no Event use up no quota of those that do', () => {
  const { state, events } = recorded();
  events.update([
    ...Array.from({ length: 60 }, (_, i) => trouble('Node', `n${i}`)),
    ...Array.from({ length: 60 }, (_, i) => trouble('Pod', `p${i}`, 'default')),
    trouble('IPPool', 'bad'),
  ]);
  expect(state.written).toEqual(['IPPool bad']);
});

it('an Event that could not be written is written later, and a written one is not repeated', async () => {
  const { state, events } = recorded();
  state.isBroken = true;
  events.update([trouble('IPPool', 'bad')]);
  await settled();
  state.isBroken = false;
  for (let round = 0; round < 3; round++) {
    events.update([trouble('IPPool', 'bad')]);
    await settled();
  }
  expect(state.written).toEqual(['IPPool bad']);
});
