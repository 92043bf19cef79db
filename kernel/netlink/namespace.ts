/**
 * Runs code in another network namespace: setns there, the code, setns back, without a wait in between. Namespaces
 * belong to threads, so no other code of the process notices.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { CodedError } from '../../lib/errors.ts';
import { errnoText } from './errno.ts';
import { type SystemCalls, systemCalls } from './system-calls.ts';

const OWN = '/proc/thread-self/ns/net';

/** Ends the process: its thread is in a foreign namespace, where any next step would change the wrong network. */
export type Abandon = (reason: string) => never;

/**
 * Returns what `work` returns in the namespace of a file such as /run/netns/x. `work` must be synchronous: what it
 * leaves for later runs in the own namespace. Throws CodedError NETNS when the namespace cannot be entered, and what
 * `work` throws. Calls `abandon` when the thread cannot return.
 */
export function inNamespace<T>(
  path: string,
  work: () => T extends PromiseLike<unknown> ? never : T,
  calls: SystemCalls = systemCalls(),
  abandon: Abandon = die,
): T {
  const home = openNamespace(OWN);
  try {
    const target = openNamespace(path);
    try {
      const entered = calls.setNetworkNamespace(target);
      if (entered < 0)
        throw new CodedError('NETNS', `network namespace ${path} cannot be entered: ${errnoText(-entered)}`);
      try {
        return work();
      } finally {
        const returned = calls.setNetworkNamespace(home);
        if (returned < 0) abandon(`cannot return from network namespace ${path}: ${errnoText(-returned)}`);
      }
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(home);
  }
}

/** Returns a descriptor. Does not wait for a writer if the path is a FIFO by now. Throws as openSync does. */
export function openNamespaceFile(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
}

/** Returns a descriptor. Throws CodedError NETNS. */
function openNamespace(path: string): number {
  try {
    return openNamespaceFile(path);
  } catch (cause) {
    throw new CodedError('NETNS', `network namespace ${path} cannot be opened`, { cause });
  }
}

/** Does not throw, because a caller could catch that and go on. SIGKILL ends the process before `kill` returns. */
function die(reason: string): never {
  writeSync(2, `fatal: ${reason}\n`);
  process.kill(process.pid, 'SIGKILL');
  throw new Error(reason);
}
