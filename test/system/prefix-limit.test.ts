/** maxPrefixes with action Drop: dropped prefixes return, by route refresh (RFC 2918), once there is room. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { ManualClock } from '../helpers/manual-clock.ts';
import { A, B, reflector, restart, speaker } from '../helpers/reflector-under-test.ts';
import { announcement, endOfRib4, type ScriptedPeer, until, withdrawal } from '../helpers/scripted-peer.ts';

const nets = [1, 2, 3, 4, 5].map((number) => `10.${number}.0.0/16`);
const limitOf = (limit: number) => ({ limit, action: 'Drop' as const, warningPercent: 75 });
const requests = (peer: ScriptedPeer) => peer.count('route-refresh');

/** A may announce three prefixes but announces five; B observes. */
async function begin() {
  const clock = new ManualClock();
  const change = (address: string) => ({
    holdTimeSeconds: 0,
    ...(address === A ? { prefixLimit: limitOf(3) } : {}),
  });
  const started = await reflector([A, B], change, { clock });
  const b = await started.connect(B, restart(30));
  b.send(endOfRib4);
  const a = await started.connect(A, restart(30));
  a.send(announcement(nets));
  a.send(endOfRib4);
  await until(() => b.table.size === 3);
  const setLimit = (limit: number) =>
    speaker.setDesired({
      peers: [{ ...started.configOf(A), prefixLimit: limitOf(limit) }, started.configOf(B)],
      originated: [],
    });
  return { ...started, clock, a, b, setLimit };
}

it('a higher limit fetches the dropped routes at once; until then a warning is shown', async () => {
  const { a, b, setLimit } = await begin();
  const warning = () => speaker.peer(A)!.status().warning;
  await until(() => warning() !== undefined);
  expect(warning()).toContain('IPv4 routes above 3 are dropped (maxPrefixes of BGPPeer 127.0.0.2)');
  setLimit(5);
  await until(() => requests(a) === 1);
  expect(a.last('route-refresh')).toMatchObject({ family: 4, subtype: 0 });
  a.send(announcement(nets));
  await until(() => b.table.size === 5);
  expect([warning(), speaker.peer(A)!.counters.flaps]).toEqual([undefined, 0]);
});

it('withdrawn routes make room, and many withdrawals cause few refresh requests', async () => {
  const { a, b, clock } = await begin();
  a.send(withdrawal([nets[0]!]));
  await until(() => b.table.size === 2);
  a.send(withdrawal([nets[1]!]));
  await until(() => b.table.size === 1);
  expect(requests(a)).toBe(0);
  clock.advance(1000);
  await until(() => requests(a) === 1);
  a.send(announcement(nets.slice(2)));
  await until(() => b.table.size === 3);
  // From now on no prefix is missing.
  a.send(withdrawal([nets[2]!]));
  await until(() => b.table.size === 2);
  clock.advance(600_000);
  await sleep(50);
  expect(requests(a)).toBe(1);
});

it('deleted stale routes of a restarted peer make room too', async () => {
  const { connect, a: first, b, clock } = await begin();
  first.socket.destroy();
  await until(() => speaker.peer(A)!.negotiated === undefined);
  const a = await connect(A, restart(30));
  // The three stale routes leave no room for new ones.
  a.send(announcement([nets[0]!, nets[3]!, nets[4]!]));
  a.send(endOfRib4);
  await until(() => b.table.size === 1);
  clock.advance(1000);
  await until(() => requests(a) === 1);
  a.send(announcement([nets[0]!, nets[3]!, nets[4]!]));
  await until(() => b.table.has(nets[4]!) && b.table.has(nets[3]!));
});
