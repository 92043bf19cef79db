/** A second connection from a peer's address, with real TCP sockets over loopback. */
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { systemTime, type Time } from '../../lib/time.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { A, B, reflector, restart, speaker } from '../helpers/reflector-under-test.ts';
import { announcement, ScriptedPeer, until } from '../helpers/scripted-peer.ts';

const again = { gracefulRestart: { ...restart(60).gracefulRestart, isRestarting: true } };

describe('a second connection from the address of a peer whose session is up', () => {
  /** A session with A with graceful restart, B that has A's route, and the port to connect to. */
  const running = async (clock: Time = systemTime) => {
    const { connect, port } = await reflector([A, B], undefined, { clock });
    const [a, b] = [await connect(A, restart(60)), await connect(B)];
    a.send(announcement(['10.1.0.0/16']));
    await until(() => b.table.size === 1);
    return { a, b, port };
  };
  const isUntouched = ({ a, b }: { a: ScriptedPeer; b: ScriptedPeer }) => [
    a.last('notification'),
    a.socket.destroyed,
    b.table.size,
    speaker.peer(A)!.counters.flaps,
  ];
  const untouched = [undefined, false, 1, 0];

  it('is refused with Connection Collision Resolution while the session answers, each time', async () => {
    const { a, b, port } = await running();
    for (let i = 0; i < 20; i++) {
      const intruder = ScriptedPeer.open(port, A, again);
      intruder.send(announcement(['10.66.0.0/16', '10.1.0.0/16'], { med: 666 }));
      await until(() => intruder.last('notification') !== undefined);
      expect(intruder.last('notification')).toMatchObject({ code: 6, subcode: 7 });
      intruder.socket.destroy();
    }
    expect(isUntouched({ a, b })).toEqual(untouched);
    expect([...b.table.keys()]).toEqual(['10.1.0.0/16']);
    a.send(announcement(['10.2.0.0/16']));
    await until(() => b.table.has('10.2.0.0/16'));
  });

  it('does not affect the session with another AS, our own identifier, a NOTIFICATION or garbage', async () => {
    const { a, b, port } = await running();
    for (const change of [{ asNumber: 65666 }, { identifier: '10.255.0.1' }]) {
      const intruder = ScriptedPeer.open(port, A, again, change);
      await until(() => intruder.last('notification') !== undefined);
      expect(intruder.last('notification')!.code).toBe(2);
      intruder.socket.destroy();
    }
    for (const bytes of ['47455420', `${'ff'.repeat(16)}0015030602`, `${'ff'.repeat(16)}001304`]) {
      const socket = net.connect({ host: '127.0.0.1', port, localAddress: A });
      socket.on('error', () => undefined).resume();
      socket.write(Buffer.from(bytes, 'hex').toString('latin1').padEnd(64, '\0'), 'latin1');
      await until(() => socket.destroyed);
    }
    expect(isUntouched({ a, b })).toEqual(untouched);
  });

  it('replaces the session as soon as the old peer’s kernel answers with RST, and no route is lost', async () => {
    // The clock does not advance, so no timer decides.
    const { a, b, port } = await running(new ManualClock());
    const gone: string[] = [];
    const watch = setInterval(() => b.table.has('10.1.0.0/16') || gone.push('lost'), 1);
    a.vanish();
    const back = ScriptedPeer.open(port, A, again);
    await until(() => back.isUp);
    back.send(announcement(['10.1.0.0/16', '10.3.0.0/16']));
    await until(() => b.table.has('10.3.0.0/16'));
    clearInterval(watch);
    expect([gone, speaker.peer(A)!.counters.flaps]).toEqual([[], 1]);
    back.socket.destroy();
  });

  it('replaces the session when the old peer acknowledges nothing, and no route is lost', async () => {
    const { a, b, port } = await running();
    a.mute();
    const back = ScriptedPeer.open(port, A, again);
    await until(() => back.isUp, 30_000);
    expect([b.table.size, speaker.peer(A)!.counters.flaps]).toEqual([1, 1]);
    back.socket.destroy();
  });
});

describe('connections that send nothing', () => {
  it('are bounded, and do not keep out a peer that sends OPEN', async () => {
    const { connect, port } = await reflector([A]);
    const silent = await Promise.all(
      Array.from({ length: 300 }, async () => {
        const socket = net.connect({ host: '127.0.0.1', port, localAddress: A });
        socket.on('error', () => undefined).resume();
        await new Promise((resolve) => socket.once('connect', resolve));
        return socket;
      }),
    );
    await until(() => silent.filter((socket) => socket.destroyed).length === 300 - 16);
    const a = await connect(A);
    for (const socket of silent) socket.destroy();
    await sleep(100);
    expect([a.isUp, a.socket.destroyed]).toEqual([true, false]);
  });

  it('do not keep this speaker from connecting to the peer', async () => {
    const { port } = await reflector([A], () => ({ isPassive: false, connectRetrySeconds: 1 }));
    const silent = net.connect({ host: '127.0.0.1', port, localAddress: A });
    silent.on('error', () => undefined).resume();
    await new Promise((resolve) => silent.once('connect', resolve));
    // The peer listens only from now on: earlier attempts were refused.
    await sleep(300);
    let count = 0;
    const peer = net.createServer((socket) => {
      count++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => peer.listen(port, A, resolve));
    await until(() => count > 0);
    silent.destroy();
    peer.close();
  });

  it('leave no dynamic peer behind', async () => {
    const { port } = await reflector([], undefined, { range: '127.0.0.0/8' });
    const socket = net.connect({ host: '127.0.0.1', port, localAddress: A });
    await until(() => speaker.status().length === 1);
    socket.destroy();
    await until(() => speaker.status().length === 0);
  });
});
