/**
 * Calls back when a descriptor becomes readable, for sockets that Node has no class for. The kernel sends SIGIO, and
 * the process receives it like any other signal: no thread waits, and nothing runs while nothing happens
 * (docs/decisions/notifications-by-signal.md).
 */
import { CodedError } from '../../lib/errors.ts';
import { errnoText } from './errno.ts';
import { type SystemCalls, systemCalls } from './system-calls.ts';

/** Watched descriptors, bounded by the open notification sockets. One signal covers them all. */
const watched = new Map<number, () => void>();
let isListening = false;

/**
 * Calls `callback` when the descriptor becomes readable, or has an error; the callback must read until it is empty.
 * Only the main thread of a process can use it. Returns a function that ends it; call that before closing the
 * descriptor. Throws CodedError NETLINK.
 */
export function whenReadable(
  fd: number,
  callback: () => void,
  calls: SystemCalls = systemCalls(),
): () => void {
  // Without a handler the signal ends the process, and one may be on its way when the last socket closes.
  // So the handler stays.
  if (!isListening) process.on('SIGIO', callAll);
  isListening = true;
  watched.set(fd, callback);
  const stop = () => {
    calls.signalWhenReadable(fd, false);
    watched.delete(fd);
  };
  for (const result of [calls.own(fd), calls.signalWhenReadable(fd, true)]) {
    if (result >= 0) continue;
    stop();
    throw new CodedError('NETLINK', `netlink: no signal for events: ${errnoText(-result)}`);
  }
  return stop;
}

function callAll(): void {
  for (const callback of [...watched.values()]) callback();
}
