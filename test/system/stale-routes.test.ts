/** Which of a peer's routes stay until the peer confirms them, RFC clause by clause, over loopback. */
import { expect, it } from 'vitest';
import type { PeerConfig } from '../../bgp/peer/config.ts';
import type { Capabilities } from '../../bgp/wire/capabilities.ts';
import { notification } from '../../bgp/wire/notification.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { A, B, C, reflector, restart, speaker } from '../helpers/reflector-under-test.ts';
import { announcement, endOfRib4, type ScriptedPeer, until } from '../helpers/scripted-peer.ts';

const [NET1, NET2, NET3] = ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16'] as const;
const LLGR_STALE = 0xffff0006;
const RESTART_SECONDS = 30;
// Shorter than the six minutes that a peer has for its initial update.
const LONG_LIVED_SECONDS = 300;

const graceful = restart(RESTART_SECONDS);
const refreshing = { ...graceful, hasEnhancedRefresh: true };
const longLived = (isForwardingKept = true) => ({
  ...graceful,
  longLived: [{ family: 4 as const, isForwardingKept, staleSeconds: LONG_LIVED_SECONDS }],
});
const refresh = (subtype: number) => ({ type: 'route-refresh', family: 4, subtype }) as const;
const [REQUEST, BORR, EORR] = [0, 1, 2];

/** A reflector with clients A, which announces NET1 and NET2, and B, which observes. */
async function begin(
  capabilities: Partial<Capabilities>,
  { change = {}, addresses = [A, B] }: { change?: Partial<PeerConfig>; addresses?: readonly string[] } = {},
) {
  const clock = new ManualClock();
  // No hold timer, because the clock jumps.
  const started = await reflector(addresses, () => ({ holdTimeSeconds: 0, ...change }), { clock });
  const b = await started.connect(B, { ...graceful, ...longLived() });
  b.send(endOfRib4);
  const a = await started.connect(A, capabilities);
  a.send(announcement([NET1, NET2]));
  a.send(endOfRib4);
  await until(() => b.table.size === 2);
  const lose = async (peer: ScriptedPeer) => {
    peer.socket.destroy();
    await until(() => speaker.peer(A)?.negotiated === undefined);
  };
  /** Waits until the speaker has handled everything that the peer sent: it sends another route and waits for it. */
  const handled = async (peer: ScriptedPeer) => {
    const med = ++rounds;
    peer.send(announcement([NET3], { med }));
    await until(() => b.table.get(NET3)?.med === med);
  };
  return { ...started, clock, a, b, lose, handled };
}
let rounds = 0;
const stays = (b: ScriptedPeer) => [NET1, NET2].filter((net) => b.table.has(net));

it('RFC 7313 section 4: BoRR before End-of-RIB is ignored, so its EoRR drops no stale route of a restart', async () => {
  const { connect, a: first, b, lose, handled } = await begin(refreshing);
  await lose(first);
  const a = await connect(A, refreshing);
  for (const message of [refresh(BORR), announcement([NET1]), refresh(EORR)]) a.send(message);
  await handled(a);
  expect(stays(b)).toEqual([NET1, NET2]);
  a.send(endOfRib4);
  await until(() => !b.table.has(NET2));
  expect(stays(b)).toEqual([NET1]);
});

it('RFC 7313 section 4: only an EoRR after a BoRR deletes routes, those not sent in between', async () => {
  const { a, b, clock, handled } = await begin(refreshing);
  a.send(refresh(EORR));
  await handled(a);
  expect(stays(b)).toEqual([NET1, NET2]);
  for (const message of [refresh(BORR), announcement([NET1]), endOfRib4]) a.send(message);
  await handled(a);
  expect(stays(b)).toEqual([NET1, NET2]);
  a.send(refresh(EORR));
  await until(() => !b.table.has(NET2));
  // The upper bound on stale time runs from the last BoRR, not from an earlier one.
  a.send(refresh(BORR));
  a.send(announcement([NET1, NET2]));
  a.send(refresh(EORR));
  await handled(a);
  clock.advance(300_000);
  a.send(refresh(BORR));
  await handled(a);
  clock.advance(100_000);
  expect(stays(b)).toEqual([NET1, NET2]);
  clock.advance(300_000);
  await until(() => stays(b).length === 0);
});

it('RFC 7313 section 4: no BoRR is sent before End-of-RIB, and a requested refresh comes after it', async () => {
  // C does not answer, so End-of-RIB waits.
  const { a, b, clock, handled } = await begin(refreshing, { addresses: [A, B, C] });
  a.send(refresh(REQUEST));
  await handled(a);
  const kinds = () =>
    a.messages.flatMap((one): (number | string)[] => {
      if (one.type === 'route-refresh') return [one.subtype];
      return one.type === 'update' && one.nlri.length === 0 && one.withdrawn.length === 0 ? ['end'] : [];
    });
  b.send(announcement(['10.9.0.0/16']));
  await until(() => a.table.has('10.9.0.0/16'));
  expect(kinds()).toEqual([]);
  clock.advance(1000);
  await until(() => kinds().length === 3);
  expect(kinds()).toEqual(['end', BORR, EORR]);
});

it('RFC 2918: a peer without the capability of RFC 7313 requests a refresh, whatever its reserved octet', async () => {
  const { a, b, handled } = await begin(graceful);
  b.send(announcement(['10.9.0.0/16']));
  await until(() => a.table.has('10.9.0.0/16'));
  a.table.clear();
  a.send(refresh(BORR));
  await until(() => a.table.has('10.9.0.0/16'));
  a.send(refresh(EORR));
  await handled(a);
  expect(stays(b)).toEqual([NET1, NET2]);
  expect(a.count('route-refresh')).toBe(0);
});

it('RFC 4724 section 4.2: only routes that are already stale are deleted when the peer restarts again', async () => {
  const { connect, a: first, b, lose, handled } = await begin(graceful);
  await lose(first);
  const second = await connect(A, graceful);
  second.send(announcement([NET1]));
  await handled(second);
  expect(stays(b)).toEqual([NET1, NET2]);
  await lose(second);
  await until(() => !b.table.has(NET2));
  expect(stays(b)).toEqual([NET1]);
});

it('RFC 4724 section 4.2: a peer that restarts in the middle of its refresh loses no route', async () => {
  const { a, b, lose, handled } = await begin(refreshing);
  a.send(refresh(BORR));
  await handled(a);
  await lose(a);
  expect(stays(b)).toEqual([NET1, NET2]);
});

const keepsLongLived = { change: { longLivedSeconds: 60 } };
const isMarked = (b: ScriptedPeer) => b.table.get(NET1)?.communities?.includes(LLGR_STALE) ?? false;

/** A world in which A has been gone for longer than its restart time. */
async function beginLongLived() {
  const world = await begin(longLived(), keepsLongLived);
  await world.lose(world.a);
  world.clock.advance(RESTART_SECONDS * 1000);
  await until(() => isMarked(world.b));
  return world;
}

it.each([
  ['without long-lived graceful restart', graceful],
  ['with the F bit of its long-lived capability clear', longLived(false)],
  ['without graceful restart', {}],
])(
  'RFC 9494 section 4.2: long-lived stale routes are deleted at once when the peer comes back %s',
  async (_, capabilities) => {
    const { connect, b } = await beginLongLived();
    await connect(A, capabilities);
    await until(() => stays(b).length === 0);
  },
);

it('RFC 9494 section 4.2: the long-lived stale time runs until End-of-RIB, even through further restarts', async () => {
  const { connect, b, clock, lose, handled } = await beginLongLived();
  const second = await connect(A, longLived());
  second.send(announcement([NET1]));
  await handled(second);
  expect([isMarked(b), ...stays(b)]).toEqual([false, NET1, NET2]);
  await lose(second);
  // RFC 4724 alone would have deleted NET2.
  expect(stays(b)).toEqual([NET1, NET2]);
  clock.advance(RESTART_SECONDS * 1000);
  await until(() => isMarked(b));
  const third = await connect(A, longLived());
  third.send(announcement([NET1]));
  await handled(third);
  clock.advance((LONG_LIVED_SECONDS - RESTART_SECONDS) * 1000);
  await until(() => !b.table.has(NET2));
  expect(stays(b)).toEqual([NET1]);
  // The peer was not synchronized when the stale time expired: at its next restart no route is kept.
  await lose(third);
  await until(() => stays(b).length === 0);
});

it('RFC 9494 section 4.2: End-of-RIB ends the long-lived stale time', async () => {
  const { connect, b, clock, handled } = await beginLongLived();
  const a = await connect(A, longLived());
  a.send(announcement([NET1, NET2]));
  a.send(endOfRib4);
  await handled(a);
  clock.advance(2 * LONG_LIVED_SECONDS * 1000);
  await handled(a);
  expect([isMarked(b), ...stays(b)]).toEqual([false, NET1, NET2]);
});

it('RFC 9494 section 4.2: routes that RFC 4724 and RFC 8538 do not keep are not kept either', async () => {
  const { a, b } = await begin(longLived(), keepsLongLived);
  // The N bit was not negotiated (RFC 8538): a NOTIFICATION does not start a graceful restart.
  a.send({ type: 'notification', ...notification(6, 4) });
  await until(() => stays(b).length === 0);
});

it('RFC 9494 section 4.2: LLGR_STALE survives a change of the import policy', async () => {
  const { connect, b, speaker: ours, configOf, handled } = await beginLongLived();
  const a = await connect(A, longLived());
  await handled(a);
  const importPolicy = {
    key: 'med',
    apply: ({ attributes }: Parameters<NonNullable<PeerConfig['importPolicy']>['apply']>[0]) => ({
      isAccepted: true as const,
      attributes: { ...attributes, med: 7 },
    }),
  };
  const peers = [{ ...configOf(A), importPolicy }, configOf(B)];
  ours.setDesired({ peers, originated: [] });
  await until(() => b.table.get(NET1)?.med === 7);
  expect(isMarked(b)).toBe(true);
});

it('RFC 9494 section 4.3: LLGR_STALE routes go to every peer with LLGR, even if this side lacks it', async () => {
  const { connect, a, b } = await begin(graceful, { addresses: [A, B, C] });
  const c = await connect(C, graceful);
  a.send(announcement([NET1], { communities: [LLGR_STALE] }));
  await until(() => isMarked(b) && c.table.has(NET2) && !c.table.has(NET1));
  expect(c.table.has(NET1)).toBe(false);
});
