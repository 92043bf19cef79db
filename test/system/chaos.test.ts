import { expect, it } from 'vitest';
import { runChaos } from '../chaos/run.ts';

it('random changes to pods, agents, the API server, nodes, pools and addresses leave nothing behind', async () => {
  const said: string[] = [];
  const options = { seed: 46, steps: 14, roundSteps: 14, untilMs: Number.POSITIVE_INFINITY };
  const { trail, ...result } = await runChaos({ ...options, say: (text) => void said.push(text) });
  expect(result, trail.join('\n')).toEqual({ steps: 14, rounds: 1, logLines: [] });
  expect(said.at(-1)).toBe('everything was deleted, and nothing is left over');
}, 600_000);
