/** A reflector per test. It and the peers that connected to it are closed after the test. */
import { afterEach } from 'vitest';
import type { PeerConfig } from '../../bgp/peer/config.ts';
import type { Speaker } from '../../bgp/speaker.ts';
import { type ReflectorOptions, ScriptedPeer, startReflector } from './scripted-peer.ts';

export const A = '127.0.0.2';
export const B = '127.0.0.3';
export const C = '127.0.0.4';

/** Capabilities of a peer with this Restart Time (RFC 4724). */
export const restart = (seconds: number, hasNotification = false) => ({
  gracefulRestart: {
    isRestarting: false,
    hasNotification,
    restartTimeSeconds: seconds,
    families: [{ family: 4 as const, isForwardingKept: true }],
  },
});

/** The current test's reflector. */
export let speaker: Speaker;
const peers: ScriptedPeer[] = [];
afterEach(async () => {
  for (const peer of peers.splice(0)) peer.socket.destroy();
  await speaker?.close(false);
});

export async function reflector(
  addresses: readonly string[],
  change?: (address: string) => Partial<PeerConfig>,
  options?: ReflectorOptions,
) {
  const started = await startReflector(addresses, change, options);
  speaker = started.speaker;
  const connect = async (
    ...args: Parameters<typeof ScriptedPeer.connect> extends [number, ...infer Rest] ? Rest : never
  ) => {
    const peer = await ScriptedPeer.connect(started.port, ...args);
    peers.push(peer);
    return peer;
  };
  return { ...started, connect };
}
