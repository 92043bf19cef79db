/** Servers that keep running after the kernel refuses a connection. */
import type { Server } from 'node:net';
import { messageOf } from './errors.ts';

/** Minimum interval between two warnings of a server, because the kernel refuses every connection of a burst. */
const QUIET_MS = 60_000;

/**
 * Turns a failed accept (ENFILE, ENOBUFS, ENOMEM) of a listening server into a warning on standard error. Without this
 * listener such an error ends the process.
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
    warn(`cannot accept a connection: ${messageOf(error)}`);
  });
}
