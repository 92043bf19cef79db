/** Fuzzed messages through live sessions: a speaker on loopback, a peer that misbehaves, and one that must not notice. */
import net, { type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerConfig } from '../../bgp/peer-config.ts';
import { Speaker } from '../../bgp/speaker.ts';
import { noCapabilities } from '../../bgp/wire/capabilities.ts';
import { encodeMessage } from '../../bgp/wire/message.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { FuzzSource } from './source.ts';

const context = { isFourOctetAs: true, isIbgp: true };

/** Sends that many messages, a few hundred per session, and reports; throws when the quiet peer was disturbed. */
export async function fuzzLive(count: number, seed: number): Promise<void> {
  if (count === 0) return;
  const port = await freePort();
  const speaker = new Speaker(
    {
      identifier: '10.255.0.1',
      addresses: { 4: '10.255.0.1' },
      port,
      listenAddresses: ['127.0.0.1'],
      deferralSeconds: 1,
      unreachableSeconds: 1,
      hasKernel: false,
    },
    { clock: systemClock, log: silentLog, events: { changed() {} } },
  );
  const template = {
    asNumber: 64512,
    localAs: 64512,
    port,
    localAddress: undefined,
    families: [4 as const, 6 as const],
  };
  const rest = {
    isPassive: true,
    peerType: 'global' as const,
    name: 'fuzz',
    holdTimeSeconds: 90,
    restartTimeSeconds: 1,
  };
  const config = (address: string): PeerConfig => ({
    ...template,
    ...rest,
    address,
    allowedLocalAs: 0,
    isClient: true,
    clusterId: '1.1.1.1',
  });
  speaker.setDesired({ peers: [config('127.0.0.2'), config('127.0.0.3')], originated: [] });
  await speaker.listen();
  const quiet = await session(port, '127.0.0.3');
  const random = new FuzzSource(seed + 1);
  const startedAt = Date.now();
  let sent = 0;
  let sessions = 0;
  while (sent < count) {
    const peer = await session(port, '127.0.0.2');
    sessions++;
    for (let i = 0; i < 400 && sent < count && !peer.destroyed && !peer.readableEnded; i++, sent++) {
      if (!peer.write(random.next())) await Promise.race([once(peer, 'drain'), once(peer, 'close')]);
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    peer.destroy();
    quiet.write(encodeMessage({ type: 'keepalive' }, context));
    if (quiet.destroyed || quiet.readableEnded)
      throw new Error(`the quiet session ended after ${sent} messages`);
  }
  await sleep(100);
  const status = speaker.status().find(({ config: { address } }) => address === '127.0.0.3');
  if (status?.state !== 'Established')
    throw new Error(`the quiet session is ${status?.state}: ${status?.lastError}`);
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(0);
  const mb = Math.round(process.memoryUsage().rss / 1e6);
  process.stdout.write(
    `live: ${sent} messages in ${sessions} sessions, ${seconds} s, the other session stayed, ${mb} MB\n`,
  );
  quiet.destroy();
  await speaker.close(false);
}

function once(socket: Socket, event: string): Promise<unknown> {
  return new Promise((resolve) => socket.once(event, resolve));
}

/** An established session from an address of loopback. */
async function session(port: number, localAddress: string): Promise<Socket> {
  for (;;) {
    const socket = net.connect({ host: '127.0.0.1', port, localAddress });
    socket.on('error', () => undefined);
    const isUp = await new Promise<boolean>((resolve) => {
      let seen = 0;
      socket.on('data', (chunk: Buffer) => {
        seen += chunk.length;
        // OPEN and KEEPALIVE have come.
        if (seen > 60) resolve(true);
      });
      socket.once('close', () => resolve(false));
      const capabilities = { ...noCapabilities, families: [4 as const, 6 as const], fourOctetAs: 64512 };
      socket.write(
        encodeMessage(
          {
            type: 'open',
            asNumber: 64512,
            holdTimeSeconds: 90,
            identifier: `10.0.0.${localAddress.at(-1)}`,
            capabilities,
          },
          context,
        ),
      );
      socket.write(encodeMessage({ type: 'keepalive' }, context));
    });
    if (isUp) return socket;
    await sleep(5);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
