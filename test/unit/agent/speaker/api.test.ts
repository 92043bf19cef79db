/** What the local socket answers about BGP. */
import { expect, it } from 'vitest';
import { bgpRoutes } from '../../../../agent/speaker/api.ts';
import { SpeakerWorld } from '../../../helpers/speaker-world.ts';

const [A, B] = ['10.0.0.1', '10.0.0.2'] as const;
const NET = '10.244.1.0/26';

/** Returns a function that asks speaker B, which has a route of A. It returns the status and the value or the text. */
function ask(): (path: string, query?: Record<string, string>) => Promise<[number, unknown]> {
  const world = new SpeakerWorld(2);
  world.originate(A, NET);
  world.advance(30);
  const routes = bgpRoutes(() => world.speaker(B), world.time);
  return async (path, query = {}) => {
    const answer = await routes[`/v1/bgp/${path}`]!(new URLSearchParams(query));
    return [answer.code, answer.code === 200 ? JSON.parse(answer.body) : answer.body];
  };
}

it('routes are those to a prefix, those that cover an address, or all', async () => {
  const asked = ask();
  for (const query of [{ prefix: NET }, { prefix: '10.244.1.7' }, {}])
    expect(await asked('routes', query)).toMatchObject([200, [{ prefix: NET, paths: [{ from: A }] }]]);
  expect(await asked('routes', { prefix: '10.9.0.0/16' })).toEqual([200, []]);
});

it('a text that is not a prefix is an error with a sentence, not an empty list', async () => {
  const asked = ask();
  for (const path of ['routes', 'why-not-advertised']) {
    const [code, sentence] = await asked(path, { prefix: '10.244.1.0/33\x1b', peer: A });
    expect([code, sentence]).toEqual([
      400,
      expect.stringContaining(' is neither a prefix nor an IP address\n'),
    ]);
    expect(sentence).not.toContain('\x1b');
  }
});

it('a peer that does not exist is an error, in printable text', async () => {
  const [code, sentence] = await ask()('received', { peer: 'x\x07' });
  expect([code, sentence]).toEqual([404, expect.stringMatching(/^BGP peer x.* does not exist\n$/)]);
  expect(sentence).not.toContain('\x07');
});
