/** Changes of keys, TTL and settings between real speakers on loopback, and faults that do not spread. */
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { PeerConfig } from '../../bgp/peer/config.ts';
import type { PolicyRoute } from '../../bgp/policy/export.ts';
import { Speaker } from '../../bgp/speaker.ts';
import type { ConnectionEvents, Remote } from '../../bgp/transport/port.ts';
import { tcpTransport } from '../../bgp/transport/tcp.ts';
import { encodeMessage } from '../../bgp/wire/message.ts';
import { silentLog } from '../../lib/log.ts';
import { systemTime } from '../../lib/time.ts';
import { A, B, C, speaker as reflecting, reflector, restart } from '../helpers/reflector-under-test.ts';
import { announcement, ScriptedPeer, until } from '../helpers/scripted-peer.ts';

const X = '127.0.0.21';
const Y = '127.0.0.22';
const speakers: Speaker[] = [];
afterEach(async () => {
  for (const speaker of speakers.splice(0)) await speaker.close(false);
});

let port = 0;
const configOf = (address: string, change: Partial<PeerConfig> = {}): PeerConfig => ({
  address,
  port,
  asNumber: 64512,
  localAs: 64512,
  localAddress: address === X ? Y : X,
  families: [4],
  isPassive: false,
  peerType: 'global',
  name: address,
  holdTimeSeconds: 90,
  connectRetrySeconds: 1,
  restartTimeSeconds: 60,
  allowedLocalAs: 0,
  ...change,
});

/** Starts a speaker at a loopback address with these peers. */
async function start(address: string, peers: readonly PeerConfig[]): Promise<Speaker> {
  const speaker = new Speaker(
    {
      identifier: address.replace('127', '10'),
      addresses: { 4: address },
      port,
      listenAddresses: [address],
      deferralSeconds: 3,
      unreachableSeconds: 1,
      hasKernel: true,
    },
    { clock: systemTime, transport: tcpTransport, log: silentLog, events: { changed() {} } },
  );
  speakers.push(speaker);
  await speaker.listen();
  speaker.setDesired({ peers, originated: [] });
  return speaker;
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: free } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return free;
}

/** Events that call `note` with their name. */
function eventsTo(note: (name: string) => void): ConnectionEvents {
  return {
    connected: () => note('connected'),
    frame: () => note('frame'),
    error: () => note('error'),
    disconnected: () => note('disconnected'),
    drained: () => note('drained'),
    fault: () => note('fault'),
  };
}

const isUp = (speaker: Speaker, address: string) => speaker.peer(address)?.negotiated !== undefined;
const set = (speaker: Speaker, config: PeerConfig) => speaker.setDesired({ peers: [config], originated: [] });

describe('settings of a peer that change while its session is up', () => {
  for (const [passive, dialler] of [
    [X, 'the peer'],
    [Y, 'this side'],
  ] as const)
    it(`a changed password is used when the peer restarts and ${dialler} connects`, async () => {
      port = await freePort();
      const toX = (password: string) => configOf(X, { password, isPassive: passive === Y });
      const toY = (password: string) => configOf(Y, { password, isPassive: passive === X });
      const x = await start(X, [toY('before')]);
      const y = await start(Y, [toX('before')]);
      await until(() => isUp(x, Y) && isUp(y, X));
      set(x, toY('after'));
      set(y, toX('after'));
      expect(x.peer(Y)!.counters.flaps).toBe(0);
      await y.close(true);
      const again = await start(Y, [toX('after')]);
      await until(() => isUp(x, Y) && isUp(again, X));
    });

  it('keepaliveTime and ttlSecurity apply at once, and what OPEN carries resets the session', async () => {
    port = await freePort();
    const [x, y] = [await start(X, [configOf(Y)]), await start(Y, [configOf(X, { isPassive: true })])];
    await until(() => isUp(x, Y) && isUp(y, X));
    set(x, configOf(Y, { keepaliveSeconds: 7, ttlSecurityHops: 1, connectRetrySeconds: 2 }));
    expect(x.peer(Y)!.status()).toMatchObject({ keepaliveSeconds: 7, state: 'Established', flaps: 0 });
    set(x, configOf(Y, { keepaliveSeconds: 7, ttlSecurityHops: 1, holdTimeSeconds: 60 }));
    expect(isUp(x, Y)).toBe(false);
    await until(() => isUp(x, Y) && isUp(y, X));
    expect(x.peer(Y)!.status().holdTimeSeconds).toBe(60);
  });

  it('the current isPassive applies when the session has dropped', async () => {
    port = await freePort();
    const [x, y] = [await start(X, [configOf(Y, { isPassive: true })]), await start(Y, [configOf(X)])];
    await until(() => isUp(x, Y) && isUp(y, X));
    set(x, configOf(Y));
    set(y, configOf(X, { isPassive: true }));
    await y.close(true);
    const again = await start(Y, [configOf(X, { isPassive: true })]);
    await until(() => isUp(x, Y) && isUp(again, X));
    expect(x.peer(Y)!.runner.connection!.isOutgoing).toBe(true);
  });
});

describe('passwords (TCP MD5, RFC 2385)', () => {
  it('one that the kernel cannot use is reported, and other peers stay up', async () => {
    const { connect, configOf: config } = await reflector([A, B]);
    const a = await connect(A);
    for (const password of ['x'.repeat(81), 'é'.repeat(41)]) {
      reflecting.setDesired({
        peers: [config(A), { ...config(B), isPassive: false, password }],
        originated: [],
      });
      await until(() => /maximum is 80/.test(reflecting.peer(B)!.status().lastError ?? ''));
    }
    expect([a.socket.destroyed, reflecting.peer(A)!.counters.flaps]).toEqual([false, 0]);
  });

  it('one that is set while an IPv6 peer is being dialled ends nothing', async () => {
    port = await freePort();
    const v6 = (change: Partial<PeerConfig>) =>
      configOf('::1', { localAddress: undefined, families: [6], ...change });
    const x = await start(X, [v6({})]);
    for (let i = 0; i < 20; i++) {
      set(x, v6({ password: `key ${i}` }));
      set(x, v6({}));
      await sleep(i);
    }
    expect(x.status()).toHaveLength(1);
  });

  it('while one is unknown, no connection is made or accepted; afterwards there is exactly one', async () => {
    port = await freePort();
    const unusable = 'waiting for Secret kube-system/bgp: not read yet';
    const x = await start(X, [configOf(Y, { unusable })]);
    let open = 0;
    let total = 0;
    const y = net.createServer((socket) => {
      total++;
      open++;
      socket.on('error', () => undefined).resume();
      socket.once('close', () => open--);
    });
    await new Promise<void>((resolve) => y.listen(port, Y, resolve));
    const incoming = net.connect({ host: X, port, localAddress: Y });
    incoming.on('error', () => undefined).resume();
    await until(() => incoming.destroyed);
    await sleep(1_500);
    expect([total, x.peer(Y)!.status().lastError]).toEqual([0, unusable]);
    // Changes in quick succession; each starts a new attempt.
    for (let i = 0; i < 40; i++) set(x, configOf(Y, i % 2 ? { unusable } : { keepaliveSeconds: i + 1 }));
    set(x, configOf(Y));
    await until(() => open === 1);
    await sleep(1_000);
    const before = total;
    await sleep(2_000);
    expect([open, total]).toEqual([1, before]);
    y.close();
    set(x, configOf(Y, { unusable }));
    await until(() => open === 0);
  });

  it('one that becomes unusable leaves the running session its key, and the next attempt waits', async () => {
    port = await freePort();
    const unusable = 'Secret bgp, key mesh: the password is empty';
    const x = await start(X, [configOf(Y, { password: 'good' })]);
    const y = await start(Y, [configOf(X, { password: 'good', isPassive: true })]);
    await until(() => isUp(x, Y) && isUp(y, X));
    set(x, configOf(Y, { unusable }));
    await sleep(200);
    expect(x.peer(Y)!.status()).toMatchObject({ state: 'Established', warning: unusable, flaps: 0 });
    await y.close(true);
    await until(() => !isUp(x, Y));
    const again = await start(Y, [configOf(X, { password: 'good' })]);
    await sleep(1_500);
    expect([isUp(x, Y), isUp(again, X)]).toEqual([false, false]);
    set(x, configOf(Y, { password: 'good' }));
    await until(() => isUp(x, Y) && isUp(again, X));
  });
});

it('an abandoned connection attempt delivers nothing, even if its SYN is answered later', async () => {
  const at = await freePort();
  const keepalive = encodeMessage({ type: 'keepalive' }, { isFourOctetAs: true, isIbgp: true });
  const remote: Remote = {
    address: '127.0.0.1',
    port: at,
    localAddress: undefined,
    password: undefined,
    ttlSecurityHops: undefined,
  };
  const listener = tcpTransport.listener({ port: at, addresses: ['127.0.0.1'] }, (incoming) =>
    incoming
      .accept(
        remote,
        eventsTo(() => undefined),
      )
      .send(keepalive),
  );
  await listener.listen();
  // The kernel ignores a SYN without the key; the client's kernel repeats it a second later.
  listener.setKey('127.0.0.1', 'secret');
  const seen: string[] = [];
  const given = tcpTransport.dial(
    remote,
    eventsTo((name) => seen.push(name)),
  );
  await sleep(100);
  given.close();
  listener.setKey('127.0.0.1', undefined);
  await sleep(2_500);
  await listener.close();
  expect(seen).toEqual([]);
});

it('more keys than the kernel has room for are reported with the sysctl to raise', async () => {
  const listener = tcpTransport.listener({ port: await freePort(), addresses: ['127.0.0.1'] }, (incoming) =>
    incoming.destroy(),
  );
  await listener.listen();
  const address = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
  let count = 0;
  let reason: string | undefined;
  while (reason === undefined && count < 100_000) reason = listener.setKey(address(count++), 'secret');
  expect(reason).toMatch(/too many keys on one socket, raise the sysctl net\.core\.optmem_max/);
  expect(listener.setKey(address(0), undefined)).toBeUndefined();
  expect(listener.setKey(address(count), 'secret')).toBeUndefined();
  await listener.close();
});

describe('a new connection from a peer with TCP MD5 or GTSM', () => {
  const again = { gracefulRestart: { ...restart(60).gracefulRestart, isRestarting: true } };
  it.each([
    ['TCP MD5', { password: 'secret' }],
    ['a TTL of 255', { ttlSecurityHops: 1 }],
  ])('replaces a session at once with %s, even if the session still answers', async (_, security) => {
    const { port: at, connect } = await reflector([A, B], (address) => (address === A ? security : {}));
    const b = await connect(B);
    const first = ScriptedPeer.open(at, A, restart(60), {}, security);
    await until(() => first.isUp);
    first.send(announcement(['10.1.0.0/16']));
    await until(() => b.table.size === 1);
    const second = ScriptedPeer.open(at, A, again, {}, security);
    await until(() => second.isUp && first.socket.destroyed);
    expect([first.last('notification'), b.table.size]).toEqual([undefined, 1]);
    second.socket.destroy();
  });

  it('exchanges no OPEN if its TTL is too low, and the TTL is reported', async () => {
    const { port: at } = await reflector([A], () => ({ ttlSecurityHops: 1 }));
    const far = ScriptedPeer.open(at, A);
    await until(() => far.socket.destroyed);
    expect(far.messages).toEqual([]);
    expect(reflecting.peer(A)!.status().lastError).toMatch(/TTL 64, but ttlSecurity 1 requires 255/);
  });
});

it('with GTSM (RFC 5082), a session still ends at the RST of a kernel that has forgotten the connection', async () => {
  const gtsm = { ttlSecurityHops: 1, keepaliveSeconds: 1 };
  const { port: at, connect } = await reflector([A, B], (address) => (address === A ? gtsm : {}));
  const b = await connect(B);
  const a = ScriptedPeer.open(at, A, restart(60), {}, gtsm);
  await until(() => a.isUp);
  a.send(announcement(['10.1.0.0/16']));
  await until(() => b.table.size === 1);
  // A's kernel answers with TTL 64. The peer does not reconnect, and no TCP or BGP timer expires before 30 s.
  a.vanish();
  await until(() => reflecting.peer(A)!.negotiated === undefined, 25_000);
  expect([reflecting.peer(A)!.status().lastError, b.table.size]).toEqual(['Connection reset by peer', 1]);
});

describe('an internal fault', () => {
  const faulty = {
    key: 'faulty',
    apply: () => {
      throw new Error('planted');
    },
  };

  it('while a peer’s routes are imported ends only that peer’s session', async () => {
    const { connect } = await reflector([A, B, C], (address) =>
      address === A ? { importPolicy: faulty } : {},
    );
    const [a, b, c] = [await connect(A), await connect(B), await connect(C)];
    a.send(announcement(['10.1.0.0/16']));
    await until(() => a.last('notification') !== undefined);
    expect(a.last('notification')).toMatchObject({ code: 6, subcode: 8 });
    expect(reflecting.peer(A)!.status().lastError).toMatch(/^internal fault: planted; next attempt/);
    b.send(announcement(['10.2.0.0/16']));
    await until(() => c.table.has('10.2.0.0/16'));
    expect([b.socket.destroyed, c.socket.destroyed]).toEqual([false, false]);
  });

  it('while a route is exported loses only that route', async () => {
    const faultyForOne = {
      key: 'faulty for one prefix',
      apply: ({ prefix, attributes }: PolicyRoute) => {
        if (prefix === '10.1.0.0/16') throw new Error('planted');
        return { isAccepted: true as const, attributes };
      },
    };
    const { connect } = await reflector([A, B, C], (address) =>
      address === B ? { exportPolicy: faultyForOne } : {},
    );
    const [a, b, c] = [await connect(A), await connect(B), await connect(C)];
    a.send(announcement(['10.1.0.0/16']));
    a.send(announcement(['10.2.0.0/16']));
    await until(() => b.table.size === 1 && c.table.size === 2);
    expect([...b.table.keys()]).toEqual(['10.2.0.0/16']);
    expect([a.socket.destroyed, b.socket.destroyed, c.socket.destroyed]).toEqual([false, false, false]);
  });

  it('delays the next attempt, and the peer comes back when the fault is gone', async () => {
    const { connect, configOf: config } = await reflector([A], () => ({ importPolicy: faulty }));
    const a = await connect(A);
    a.send(announcement(['10.1.0.0/16']));
    await until(() => a.last('notification') !== undefined);
    reflecting.setDesired({ peers: [{ ...config(A), importPolicy: undefined }], originated: [] });
    const back = await connect(A);
    back.send(announcement(['10.1.0.0/16']));
    await until(() => reflecting.routeCount === 1);
  });

  it('in an observer switches that observer off', async () => {
    const { connect } = await reflector([A, B]);
    let calls = 0;
    const fail = () => {
      calls++;
      throw new Error('planted');
    };
    reflecting.observe({ message: fail, up: fail, down: fail });
    const [a, b] = [await connect(A), await connect(B)];
    a.send(announcement(['10.1.0.0/16']));
    await until(() => b.table.size === 1);
    expect(calls).toBe(1);
  });
});
