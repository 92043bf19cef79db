/**
 * Sends fuzzed messages through live sessions: a speaker on loopback, a misbehaving peer, a quiet peer that must not be
 * affected, a BMP station and the wire log.
 */

import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BmpExporter } from '../../bgp/monitor/bmp.ts';
import { createWireLog } from '../../bgp/monitor/wire-log.ts';
import { silentLog } from '../../lib/log.ts';
import { systemTime } from '../../lib/time.ts';
import { ScriptedPeer, startReflector } from '../helpers/scripted-peer.ts';
import { Random } from './random.ts';
import { FuzzSource } from './source.ts';

/** Sends `count` messages, up to 400 per session, and prints a report. Throws if the quiet peer's session ends. */
export async function fuzzLive(count: number, seed: number): Promise<void> {
  if (count === 0) return;
  const { speaker, port } = await startReflector(['127.0.0.2', '127.0.0.3']);
  const quiet = await ScriptedPeer.connect(port, '127.0.0.3');
  const station = net.createServer((socket) => void socket.resume()).listen(0, '127.0.0.1');
  await new Promise((resolve) => station.once('listening', resolve));
  const { port: stationPort } = station.address() as net.AddressInfo;
  const view = { ribs: speaker.ribs, peers: () => speaker.peers };
  const bmp = new BmpExporter({ host: '127.0.0.1', port: stationPort }, view, {
    time: systemTime,
    log: silentLog,
  });
  speaker.observe(bmp);
  speaker.observe(createWireLog('all', silentLog));
  const random = new FuzzSource(new Random(seed + 1));
  const startedAt = Date.now();
  let sent = 0;
  let sessions = 0;
  while (sent < count) {
    const { socket } = await ScriptedPeer.connect(port, '127.0.0.2');
    sessions++;
    for (let i = 0; i < 400 && sent < count && !socket.destroyed && !socket.readableEnded; i++, sent++) {
      if (!socket.write(random.next())) await Promise.race([once('drain'), once('close')]);
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    socket.destroy();
    quiet.send({ type: 'keepalive' });
    quiet.messages.length = 0;
    if (quiet.socket.destroyed || quiet.socket.readableEnded)
      throw new Error(`the idle session ended after ${sent} messages`);
    function once(event: string): Promise<unknown> {
      return new Promise((resolve) => socket.once(event, resolve));
    }
  }
  await sleep(100);
  const state = speaker.peer('127.0.0.3')?.session.state;
  if (state !== 'Established') throw new Error(`the idle session is ${state}`);
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(0);
  const mb = Math.round(process.memoryUsage().rss / 1e6);
  process.stdout.write(
    `live: ${sent} messages in ${sessions} sessions, ${seconds} s, the other session stayed up, ${mb} MB\n`,
  );
  quiet.socket.destroy();
  bmp.close();
  station.close();
  await speaker.close(false);
}
