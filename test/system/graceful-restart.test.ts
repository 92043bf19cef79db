/** Graceful restart with scripted peers over loopback. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { hardReset, notification } from '../../bgp/wire/notification.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { A, B, C, reflector, restart } from '../helpers/reflector-under-test.ts';
import { announcement, endOfRib4, type ScriptedPeer, until } from '../helpers/scripted-peer.ts';

const longLived = [{ family: 4 as const, isForwardingKept: true, staleSeconds: 2 }];

describe('graceful restart, as the receiving speaker', () => {
  it('keeps the routes of a peer whose connection broke, until End-of-RIB without them', async () => {
    const { connect } = await reflector([A, B]);
    const b = await connect(B);
    let a = await connect(A, restart(4));
    a.send(announcement(['10.1.0.0/16', '10.2.0.0/16']));
    await until(() => b.table.size === 2);
    a.socket.destroy();
    await sleep(300);
    expect(b.table.size).toBe(2);
    a = await connect(A, restart(4));
    a.send(announcement(['10.1.0.0/16']));
    await sleep(100);
    expect(b.table.size).toBe(2);
    a.send(endOfRib4);
    await until(() => b.table.size === 1);
    expect([...b.table.keys()]).toEqual(['10.1.0.0/16']);
  });

  it('after the restart time keeps routes as a last resort (RFC 9494) or deletes them (RFC 4724)', async () => {
    const { connect } = await reflector([A, B, C], () => ({ longLivedSeconds: 2 }));
    const [b, c] = [await connect(B, { ...restart(1), longLived }), await connect(C)];
    const a = await connect(A, { ...restart(1), longLived });
    a.send(announcement(['10.1.0.0/16']));
    a.send(announcement(['10.2.0.0/16'], { communities: [0xffff0007] }));
    await until(() => b.table.size === 2 && c.table.size === 2);
    a.socket.destroy();
    await until(() => b.table.get('10.1.0.0/16')?.communities?.includes(0xffff0006) === true);
    // C does not support LLGR and has no route. A route with NO_LLGR is kept for no peer.
    expect([c.table.size, b.table.has('10.2.0.0/16')]).toEqual([0, false]);
    await until(() => b.table.size === 0);
  });

  it('keeps routes after NOTIFICATION if both sides set the N bit, but not after a hard reset (RFC 8538)', async () => {
    const { connect } = await reflector([A, B]);
    const b = await connect(B);
    for (const [body, isKept] of [
      [notification(6, 4), true],
      [hardReset(notification(6, 2)), false],
    ] as const) {
      const a = await connect(A, restart(5, true));
      a.send(announcement(['10.1.0.0/16']));
      a.send(endOfRib4);
      await until(() => b.table.size === 1);
      a.send({ type: 'notification', ...body });
      await sleep(300);
      expect(b.table.size).toBe(isKept ? 1 : 0);
    }
  });
});

describe('graceful restart, as the restarting speaker', () => {
  const ends = (peer: ScriptedPeer) =>
    peer.messages.filter(
      (one) => one.type === 'update' && one.nlri.length === 0 && one.withdrawn.length === 0,
    ).length;
  const isLastAnEnd = (peer: ScriptedPeer) => peer.last('update')!.nlri.length === 0;
  const again = (seconds: number) => ({
    gracefulRestart: { ...restart(seconds).gracefulRestart, isRestarting: true },
  });

  it('advertises routes as it learns them, and End-of-RIB after every client has sent its own', async () => {
    const clock = new ManualClock();
    const { connect } = await reflector([A, B, C], undefined, { clock });
    const a = await connect(A, restart(5));
    a.send(endOfRib4);
    const b = await connect(B, restart(5));
    b.send(announcement(['10.1.0.0/16']));
    b.send(endOfRib4);
    // C restarted too: without it, A would forget its routes.
    const c = await connect(C, again(5));
    c.send(announcement(['10.2.0.0/16']));
    await until(() => a.table.size === 2 && b.table.size === 1);
    await sleep(100);
    expect([a, b].map(ends)).toEqual([0, 0]);
    c.send(announcement(['10.3.0.0/16']));
    c.send(endOfRib4);
    await until(() => [a, b, c].every((peer) => ends(peer) === 1));
    expect([a, b, c].every(isLastAnEnd)).toBe(true);
    expect([a, b, c].map(({ table }) => table.size)).toEqual([3, 2, 1]);
  });

  it('does not wait for a peer that does not answer, nor for another restarting reflector', async () => {
    const clock = new ManualClock();
    const { connect } = await reflector([A, B, C], (address) => ({ isClient: address !== B }), { clock });
    const [a] = [await connect(A, restart(5)), await connect(B, again(5))];
    a.send(endOfRib4);
    await sleep(100);
    expect(ends(a)).toBe(0);
    clock.advance(1000);
    await until(() => ends(a) === 1);
  });

  it('waits for dynamic clients as long as for configured ones', async () => {
    const clock = new ManualClock();
    const { connect } = await reflector([], undefined, { clock, range: '127.0.0.0/8' });
    const [a, b] = [await connect(A, restart(5)), await connect(B, restart(5))];
    a.send(endOfRib4);
    await sleep(100);
    expect(ends(a)).toBe(0);
    clock.advance(1000);
    await sleep(100);
    expect([ends(a), ends(b)]).toEqual([0, 1]);
    b.send(announcement(['10.1.0.0/16']));
    b.send(endOfRib4);
    await until(() => ends(a) === 1);
    expect(isLastAnEnd(a)).toBe(true);
  });
});
