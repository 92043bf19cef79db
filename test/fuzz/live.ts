/** Fuzzed messages through live sessions: a speaker on loopback, a peer that misbehaves, and one that must not notice. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ScriptedPeer, startReflector } from '../helpers/scripted-peer.ts';
import { FuzzSource } from './source.ts';

/** Sends that many messages, a few hundred per session, and reports; throws when the quiet peer was disturbed. */
export async function fuzzLive(count: number, seed: number): Promise<void> {
  if (count === 0) return;
  const { speaker, port } = await startReflector(['127.0.0.2', '127.0.0.3']);
  const quiet = await ScriptedPeer.connect(port, '127.0.0.3');
  const random = new FuzzSource(seed + 1);
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
      throw new Error(`the quiet session ended after ${sent} messages`);
    function once(event: string): Promise<unknown> {
      return new Promise((resolve) => socket.once(event, resolve));
    }
  }
  await sleep(100);
  const state = speaker.peer('127.0.0.3')?.session.state;
  if (state !== 'Established') throw new Error(`the quiet session is ${state}`);
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(0);
  const mb = Math.round(process.memoryUsage().rss / 1e6);
  process.stdout.write(
    `live: ${sent} messages in ${sessions} sessions, ${seconds} s, the other session stayed, ${mb} MB\n`,
  );
  quiet.socket.destroy();
  await speaker.close(false);
}
