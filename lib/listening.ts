/** Servers that go on after the kernel refused them a connection. */
import type { Server } from 'node:net';
import { messageOf } from './errors.ts';

/** One warning in so long for a server: the kernel refuses each connection of a burst. */
const QUIET_MS = 60_000;

/**
 * For a server that listens: a connection that cannot be accepted (ENFILE, ENOBUFS, ENOMEM) is a warning on standard
 * error. Without a listener such an error ends the process.
 */
export function surviveAccept(
  server: Server,
  warn: (sentence: string) => void = (sentence) => process.emitWarning(sentence, { code: 'ACCEPT' }),
): void {
  let warnedAt = Number.NEGATIVE_INFINITY;
  server.on('error', (error) => {
    const now = performance.now();
    if (now - warnedAt < QUIET_MS) return;
    warnedAt = now;
    warn(`a connection cannot be accepted: ${messageOf(error)}`);
  });
}
