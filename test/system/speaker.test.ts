/** The speaker with scripted peers over loopback. */
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { PolicyRoute } from '../../bgp/policy/export.ts';
import { viewReceived } from '../../bgp/routes-view.ts';
import { encodeMessage } from '../../bgp/wire/message.ts';
import { describeNotification } from '../../bgp/wire/notification.ts';
import { systemTime, type Time } from '../../lib/time.ts';
import { A, B, C, reflector, restart, speaker } from '../helpers/reflector-under-test.ts';
import { announcement, endOfRib4, ScriptedPeer, until, withdrawal } from '../helpers/scripted-peer.ts';

const nets = (count: number, second = 1) =>
  Array.from({ length: count }, (_, i) => `10.${second + (i >> 8)}.${i & 255}.0/24`);

/** Sends ten prefixes per UPDATE, each with its own attributes of 900 octets, so that UPDATEs cannot be merged. */
function sendBulk(peer: ScriptedPeer, prefixes: readonly string[], round: number): void {
  const communities = Array.from({ length: 200 }, (_, i) => 65536 + i);
  for (let at = 0; at < prefixes.length; at += 10)
    peer.send(announcement(prefixes.slice(at, at + 10), { med: round, communities: [at, ...communities] }));
}

describe('a peer whose configuration changes', () => {
  it('is the same peer when its port changes and immediately changes back', async () => {
    const { connect, configOf } = await reflector([A, B]);
    const before = [A, B].map(configOf);
    const a = await connect(A);
    const after = before.map((config) => ({ ...config, port: config.port + 1 }));
    // One peer has a session, kept until its successor has advertised its routes; the other has none.
    speaker.setDesired({ peers: after, originated: [] });
    speaker.setDesired({ peers: before, originated: [] });
    // Longer than the wait for a successor plus the time that a predecessor is kept.
    await sleep(5_000);
    expect(a.socket.destroyed).toBe(false);
    a.socket.destroy();
    for (const address of [A, B]) {
      const again = await connect(address);
      await until(() => again.isUp);
    }
    expect(speaker.status().map(({ config, state }) => [config.port, state])).toEqual(
      before.map(({ port }) => [port, 'Established']),
    );
  });
});

it('a removed peer stays until other peers advertise all of its routes', async () => {
  const { connect, configOf } = await reflector([A], undefined, { deferralSeconds: 60 });
  const isClient = false;
  speaker.setDesired({
    peers: [A, B].map((address) => ({ ...configOf(address), isClient })),
    originated: [],
  });
  const a = await connect(A);
  a.send(announcement(['10.1.0.0/16', '10.2.0.0/16']));
  await until(() => speaker.routeCount === 2);
  speaker.setDesired({ peers: [{ ...configOf(B), isClient }], originated: [] });
  const b = await connect(B);
  b.send(announcement(['10.1.0.0/16']));
  b.send(endOfRib4);
  // Twice the grace period after coverage, and longer than the reflector waits for a silent peer.
  await sleep(7_000);
  expect(speaker.status().find(({ config }) => config.address === A)).toMatchObject({
    state: 'Established',
    isRetiring: true,
    warning: 'no longer configured: kept until other peers announce its routes, at most 60 s',
  });
  expect([a.last('notification'), speaker.routeCount]).toEqual([undefined, 2]);
  b.send(announcement(['10.2.0.0/16']));
  await until(() => a.last('notification') !== undefined);
  expect(speaker.routeCount).toBe(2);
});

it('peers that are added and removed within seconds are gone at once', async () => {
  const { connect, configOf } = await reflector([C], undefined, { deferralSeconds: 60 });
  const isClient = false;
  const peers = [A, B].map((address) => ({ ...configOf(address), isClient }));
  speaker.setDesired({ peers: [configOf(C), ...peers], originated: [] });
  const [a, b] = [await connect(A), await connect(B)];
  a.send(announcement(['10.1.0.0/16']));
  b.send(announcement(['10.2.0.0/16']));
  await until(() => speaker.routeCount === 2);
  speaker.setDesired({ peers: [configOf(C)], originated: [] });
  expect([...speaker.peers].map(({ config }) => config.address)).toEqual([C]);
  await until(() => a.last('notification') !== undefined && b.last('notification') !== undefined);
  expect(speaker.routeCount).toBe(0);
});

describe('route refresh', () => {
  it('resends all routes, between the markers of RFC 7313', async () => {
    const { connect } = await reflector([A, B]);
    const a = await connect(A);
    const b = await connect(B, { hasEnhancedRefresh: true });
    a.send(announcement(nets(50)));
    await until(() => b.table.size === 50);
    b.table.clear();
    b.send({ type: 'route-refresh', family: 4, subtype: 0 });
    await until(() => b.table.size === 50 && b.last('route-refresh')?.subtype === 2);
    const subtypes = b.messages.flatMap((one) => (one.type === 'route-refresh' ? [one.subtype] : []));
    expect(subtypes).toEqual([1, 2]);
  });

  it('from a peer drops the routes that it does not confirm', async () => {
    const { connect } = await reflector([A, B]);
    const [a, b] = [await connect(A, { hasEnhancedRefresh: true }), await connect(B)];
    a.send(announcement(['10.1.0.0/16', '10.2.0.0/16']));
    await until(() => b.table.size === 2);
    a.send({ type: 'route-refresh', family: 4, subtype: 1 });
    a.send(announcement(['10.2.0.0/16']));
    a.send({ type: 'route-refresh', family: 4, subtype: 2 });
    await until(() => b.table.size === 1);
  });
});

it('inside the AS, LOCAL_PREF alone decides the preference of a route with GRACEFUL_SHUTDOWN (RFC 8326)', async () => {
  const { connect } = await reflector([A, B, C]);
  const [a, b, c] = [await connect(A), await connect(B), await connect(C)];
  const leaving = { med: 1, communities: [0xffff0000] };
  b.send(announcement(['10.1.0.0/16'], { med: 2, localPref: 100 }));
  a.send(announcement(['10.1.0.0/16'], { ...leaving, localPref: 200 }));
  await until(() => c.table.get('10.1.0.0/16')?.med === 1);
  expect(c.table.get('10.1.0.0/16')?.localPref).toBe(200);
  a.send(announcement(['10.1.0.0/16'], { ...leaving, localPref: 0 }));
  await until(() => c.table.get('10.1.0.0/16')?.med === 2);
  b.send(withdrawal(['10.1.0.0/16']));
  await until(() => c.table.get('10.1.0.0/16')?.localPref === 0);
});

it('a route whose next hop is this end of the session is not used (RFC 4271 section 5.1.3)', async () => {
  const { connect } = await reflector([A, B]);
  const [a, b] = [await connect(A), await connect(B)];
  a.send(announcement(['10.1.0.0/16', '10.2.0.0/16']));
  await until(() => b.table.size === 2);
  a.send(announcement(['10.1.0.0/16'], { nextHop: '127.0.0.1' }));
  await until(() => b.table.size === 1);
  const [refused] = [...viewReceived(speaker.ribs[4], speaker.peer(A)!)].filter(({ isUsable }) => !isUsable);
  expect(refused).toMatchObject({
    prefix: '10.1.0.0/16',
    reason: 'the next hop is this speaker (RFC 4271 section 5.1.3)',
  });
});

describe('settings that change', () => {
  it('a filter takes effect in place: the session stays, routes change, the reason is shown', async () => {
    const { connect, configOf } = await reflector([A, B]);
    const [a, b] = [await connect(A), await connect(B)];
    a.send(announcement(['10.1.0.0/16', '10.2.0.0/16']));
    await until(() => b.table.size === 2);
    const policy = {
      key: 'not 10.1',
      apply: ({ prefix, attributes }: PolicyRoute) =>
        prefix === '10.1.0.0/16'
          ? { isAccepted: false as const, reason: 'BGPFilter f, rule 1' }
          : { isAccepted: true as const, attributes },
    };
    speaker.setDesired({ peers: [{ ...configOf(A), importPolicy: policy }, configOf(B)], originated: [] });
    await until(() => b.table.size === 1);
    const [refused] = [...viewReceived(speaker.ribs[4], speaker.peer(A)!)].filter(
      ({ isUsable }) => !isUsable,
    );
    expect(refused).toMatchObject({ prefix: '10.1.0.0/16', reason: 'BGPFilter f, rule 1' });
    speaker.setDesired({ peers: [configOf(A), { ...configOf(B), exportPolicy: policy }], originated: [] });
    await sleep(100);
    expect(b.table.size).toBe(1);
    speaker.setDesired({ peers: [configOf(A), configOf(B)], originated: [] });
    await until(() => b.table.size === 2);
    expect([a.socket.destroyed, b.socket.destroyed, speaker.peer(A)!.counters.flaps]).toEqual([
      false,
      false,
      0,
    ]);
  });

  it('a removed peer gets a NOTIFICATION with the reason, as a hard reset if it supports that', async () => {
    const { connect, configOf } = await reflector([A, B]);
    const a = await connect(A, restart(5, true));
    speaker.setDesired({ peers: [configOf(B)], originated: [] });
    await until(() => a.last('notification') !== undefined);
    expect(a.last('notification')).toMatchObject({ code: 6, subcode: 9, data: Uint8Array.of(6, 3) });
  });
});

describe('a session with a shutdownMessage', () => {
  it('ends with the operator’s message, refuses connections with it, and comes back when it is removed', async () => {
    const { connect, configOf } = await reflector([A, B]);
    const [a, b] = [await connect(A), await connect(B)];
    a.send(announcement(['10.1.0.0/16']));
    await until(() => b.table.size === 1);
    const down = { ...configOf(A), shutdownMessage: 'rack 4 moves' };
    speaker.setDesired({ peers: [down, configOf(B)], originated: [] });
    await until(() => a.last('notification') !== undefined && b.table.size === 0);
    const words = 'Cease/Administrative Shutdown: rack 4 moves';
    expect(describeNotification(a.last('notification')!)).toBe(words);
    expect(speaker.peer(A)!.status()).toMatchObject({
      state: 'Idle',
      lastError: 'administratively shut down: rack 4 moves',
    });
    const again = await ScriptedPeer.refused(configOf(A).port, A);
    expect(describeNotification(again)).toBe(words);
    speaker.setDesired({ peers: [configOf(A), configOf(B)], originated: [] });
    (await connect(A)).send(announcement(['10.2.0.0/16']));
    await until(() => b.table.has('10.2.0.0/16'));
  });
});

describe('peers that misbehave', () => {
  it('with too many prefixes lose those above the limit, or their session', async () => {
    const prefixLimit = { limit: 100, warningPercent: 75 };
    const { connect } = await reflector([A, B, C], (address) =>
      address === C
        ? { prefixLimit: { ...prefixLimit, action: 'Restart' } }
        : { prefixLimit: { ...prefixLimit, action: 'Drop' } },
    );
    const [a, b, c] = [await connect(A), await connect(B), await connect(C)];
    a.send(announcement(nets(150)));
    await until(() => b.table.size === 100);
    a.send(withdrawal(nets(150).slice(0, 50)));
    a.send(announcement(nets(10, 9)));
    await until(() => b.table.has('10.9.0.0/24'));
    c.send(announcement(nets(150, 20)));
    await until(() => c.last('notification') !== undefined);
    expect(c.last('notification')).toMatchObject({ code: 6, subcode: 1 });
    await until(() => !b.table.has('10.20.0.0/24'));
    expect(a.socket.destroyed).toBe(false);
  });

  it('with too many prefixes lose all routes, even if NOTIFICATION would preserve them (RFC 8538)', async () => {
    const prefixLimit = { limit: 100, warningPercent: 75, action: 'Restart' as const };
    const { connect } = await reflector([A, B], (address) => (address === A ? { prefixLimit } : {}));
    const [a, b] = [await connect(A, restart(60, true)), await connect(B)];
    a.send(announcement(['10.1.0.0/16']));
    await until(() => b.table.size === 1);
    a.send(announcement(nets(150, 20)));
    await until(() => a.last('notification') !== undefined);
    expect(a.last('notification')).toMatchObject({ code: 6, subcode: 9, data: Uint8Array.of(6, 1) });
    await until(() => b.table.size === 0);
  });

  it('by not reading delay no other peer, cost bounded memory, and get everything when they read again', async () => {
    const { connect } = await reflector([A, B, C]);
    const [a, b, c] = [await connect(A), await connect(B), await connect(C)];
    c.socket.pause();
    const before = process.memoryUsage().rss;
    const all = nets(5000);
    for (let round = 1; round <= 60; round++) {
      sendBulk(a, all, round);
      await until(() => b.table.get(all.at(-1)!)?.med === round);
      b.messages.length = 0;
    }
    // 60 rounds are 27 MB on the wire: the stopped peer's queue stays near its limit of 8 MB.
    expect(speaker.peer(C)!.runner.connection!.queued).toBeGreaterThan(1e6);
    expect(speaker.peer(C)!.runner.connection!.queued).toBeLessThan(12e6);
    expect((process.memoryUsage().rss - before) / 1e6).toBeLessThan(200);
    a.send(withdrawal(all.slice(0, 700)));
    await until(() => b.table.size === all.length - 700);
    c.socket.resume();
    await until(
      () =>
        c.table.size === b.table.size &&
        [...b.table].every(([prefix, { med }]) => c.table.get(prefix)?.med === med),
      30_000,
    );
  });

  it('by reading nothing for long lose their session (RFC 9687)', async () => {
    let skew = 0;
    const clock: Time = { ...systemTime, now: () => Date.now() + skew };
    const slow = { holdTimeSeconds: 90, keepaliveSeconds: 0.2 };
    const { connect } = await reflector([A, B], () => slow, { clock });
    const [a, b] = [await connect(A), await connect(B)];
    b.socket.pause();
    for (let round = 0; round < 60; round++) {
      sendBulk(a, nets(5000), round);
      await sleep(20);
    }
    await until(() => (speaker.peer(B)!.runner.connection?.queued ?? 0) > 0);
    await sleep(1000);
    skew = 481_000;
    await until(() => speaker.peer(B)!.session.state !== 'Established');
    expect(speaker.peer(B)!.status().lastError).toBe(
      'send hold timer expired: the peer has read nothing for 480 s',
    );
    expect(speaker.peer(A)!.session.state).toBe('Established');
  });

  it('with flaps at 10 Hz, half messages and a thousand connections do not affect other peers', async () => {
    const { connect, port } = await reflector([A, B, C]);
    const [a, b] = [await connect(A), await connect(B)];
    const sockets: net.Socket[] = [];
    for (let i = 0; i < 1000; i++) {
      const socket = net.connect({ host: '127.0.0.1', port, localAddress: i % 2 === 0 ? C : '127.0.0.77' });
      socket.on('error', () => undefined);
      sockets.push(socket);
    }
    for (let round = 1; round <= 20; round++) {
      const c = await connect(C);
      c.send(announcement(nets(20, 50)));
      const whole = encodeMessage(announcement(nets(20, 60)), { isFourOctetAs: true, isIbgp: true });
      c.socket.write(whole.subarray(0, 10 + round));
      a.send(announcement(['10.1.0.0/16'], { med: round }));
      await until(() => b.table.get('10.1.0.0/16')?.med === round);
      await sleep(80);
      c.socket.destroy();
    }
    await until(() => b.table.size === 1);
    expect([a.socket.destroyed, b.socket.destroyed]).toEqual([false, false]);
    for (const socket of sockets) socket.destroy();
  });

  it('with roles that do not match are refused (RFC 9234), and routes with our cluster ID are not used', async () => {
    const { connect, port } = await reflector([A, B], (address) =>
      address === B ? { asNumber: 65001, role: 3 } : {},
    );
    const a = await connect(A);
    a.send(announcement(['10.1.0.0/16'], { originatorId: '9.9.9.9', clusterList: ['1.1.1.1'] }));
    await until(() => speaker.ribs[4].countOf(speaker.peer(A)!.source) === 1);
    expect([...viewReceived(speaker.ribs[4], speaker.peer(A)!)][0]!.reason).toBe(
      'our cluster ID is in the CLUSTER_LIST',
    );
    const socket = net.connect({ host: '127.0.0.1', port, localAddress: B });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    const capabilities = { ...emptyCapabilities, fourOctetAs: 65001, roles: [4] };
    const open = {
      type: 'open' as const,
      asNumber: 65001,
      holdTimeSeconds: 90,
      identifier: '10.0.0.3',
      capabilities,
    };
    socket.write(encodeMessage(open, { isFourOctetAs: true, isIbgp: false }));
    await until(() =>
      Buffer.concat(chunks)
        .toString('hex')
        .endsWith(`${'ff'.repeat(16)}00150302${'0b'}`),
    );
    expect(speaker.peer(B)!.status().lastError).toMatch(
      /sends the BGP role peer, but our role customer requires provider/,
    );
  });
});

const emptyCapabilities = {
  families: [4 as const],
  otherFamilies: [],
  hasRouteRefresh: false,
  hasExtendedMessages: false,
  hasEnhancedRefresh: false,
  hasExtendedNextHop: false,
  fourOctetAs: 64512,
  gracefulRestart: undefined,
  addPath: [],
  longLived: [],
  roles: [],
  unknown: [],
};
