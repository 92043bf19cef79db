import { beforeEach, describe, expect, it } from 'vitest';
import { bgpRoutes } from '../../../../agent/speaker/api.ts';
import type { HttpAnswer } from '../../../../lib/http.ts';
import { SpeakerWorld } from '../../../helpers/speaker-world.ts';

let world: SpeakerWorld;
beforeEach(() => {
  world = new SpeakerWorld(2);
  world.originate('10.0.0.2', '10.244.0.0/16');
  world.originate('10.0.0.2', '10.244.1.0/26');
  world.originate('10.0.0.1', '10.244.9.0/26');
  world.advance(60);
});

const NODE = '10.0.0.1';
async function ask(route: string, query: Record<string, string> = {}): Promise<HttpAnswer> {
  const answer = bgpRoutes(() => world.speaker(NODE), { now: () => 0 })[route];
  if (!answer) throw new Error(`no route ${route}`);
  return answer(new URLSearchParams(query));
}
const prefixes = async (query: Record<string, string>) =>
  (JSON.parse((await ask('/v1/bgp/routes', query)).body) as { prefix: string }[]).map(({ prefix }) => prefix);

describe('the routes of the speaker', () => {
  it('are all listed without a prefix', async () => {
    expect((await prefixes({})).toSorted()).toEqual(['10.244.0.0/16', '10.244.1.0/26', '10.244.9.0/26']);
  });

  it('to an address are those that cover it, longest first', async () => {
    expect(await prefixes({ prefix: '10.244.1.5' })).toEqual(['10.244.1.0/26', '10.244.0.0/16']);
    expect(await prefixes({ prefix: '10.244.1.0/24' })).toEqual(['10.244.0.0/16']);
    expect(await prefixes({ prefix: '192.0.2.1' })).toEqual([]);
    expect(await prefixes({ prefix: 'fd00::/48' })).toEqual([]);
  });

  it('no longer include withdrawn ones', async () => {
    world.withdraw('10.0.0.2', '10.244.1.0/26');
    world.advance(60);
    expect(await prefixes({ prefix: '10.244.1.5' })).toEqual(['10.244.0.0/16']);
  });
});

describe('the routes of a peer', () => {
  const peer = '10.0.0.2';
  const of = async (route: string) =>
    (JSON.parse((await ask(route, { peer })).body) as { prefix: string }[]).map(({ prefix }) => prefix);

  it('are those that it sent, and those that it was sent', async () => {
    expect((await of('/v1/bgp/received')).toSorted()).toEqual(['10.244.0.0/16', '10.244.1.0/26']);
    expect(await of('/v1/bgp/advertised')).toEqual(['10.244.9.0/26']);
  });

  it.each(['10.0.0.9', '', 'x', '\u001b[2J'])('that does not exist, %j, are an error', async (address) => {
    const { code, body } = await ask('/v1/bgp/received', { peer: address });
    expect(code).toBe(404);
    expect(body).not.toContain('\u001b');
  });

  it.each([
    ['10.244.9.0/26', undefined],
    ['10.244.0.0/16', /./],
    ['10.1.0.0/16', /^the route does not exist$/],
  ])('explain why %s is not advertised', async (prefix, reason) => {
    const { body } = await ask('/v1/bgp/why-not-advertised', { peer, prefix });
    const answer: { reason?: string } = JSON.parse(body);
    if (reason) expect(answer.reason).toMatch(reason);
    else expect(answer.reason).toBeUndefined();
  });
});

it('every question fails with the reason while no speaker runs', async () => {
  for (const answer of Object.values(bgpRoutes(() => undefined, { now: () => 0 })))
    expect(await answer(new URLSearchParams())).toMatchObject({
      code: 503,
      body: 'the BGP speaker is not running\n',
    });
});
