/**
 * Receives kernel events from `ip monitor` as hints to observe the kernel again. Only a dump is trusted, not the
 * content of an event. An overrun (ENOBUFS) and the exit of the child are hints too.
 */
import { createInterface } from 'node:readline';
import { type Child, start } from '../lib/exec.ts';
import type { Log } from '../lib/log.ts';
import type { KernelEvent } from './port.ts';

const RESTART_MS = 1000;
/** Events were lost: anything may have changed. */
const LOST: KernelEvent = { isAddress: false, isRelevant: true };

export class KernelMonitor {
  readonly #log: Log;
  readonly #hint: (event: KernelEvent) => void;
  #child: Child | undefined;
  #isClosed = false;

  constructor(hint: (event: KernelEvent) => void, log: Log) {
    this.#hint = hint;
    this.#log = log;
    this.#start();
  }

  close(): void {
    this.#isClosed = true;
    this.#child?.kill('SIGKILL');
  }

  #start(): void {
    if (this.#isClosed) return;
    const child = start('ip', ['-o', 'monitor', 'link', 'route', 'address', 'neigh']);
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => this.#hint(eventOf(line)));
    createInterface({ input: child.stderr! }).on('line', (line) => {
      this.#log.debug({ reason: line }, 'ip monitor');
      this.#hint(LOST);
    });
    void child.exited.then(() => {
      if (this.#isClosed) return;
      this.#log.warn({}, 'ip monitor exited: restarting it');
      this.#hint(LOST);
      setTimeout(() => this.#start(), RESTART_MS);
    });
  }
}

/** Parses a line of `ip -o monitor`. */
export function eventOf(line: string): KernelEvent {
  return { link: linkOf(line), isAddress: isAddress(line), isRelevant: isRelevant(line) };
}

/** Whether an event may concern our objects. Foreign neighbours and learned neighbours of pods do not. */
function isRelevant(line: string): boolean {
  const state = /\b(REACHABLE|STALE|DELAY|PROBE|FAILED|INCOMPLETE|NOARP)\b/.exec(line)?.[1];
  if (!state) return true;
  // A deleted permanent entry passes through FAILED.
  return state === 'FAILED' && / dev (cali[0-9a-f]{11}|vxlan)/.test(line);
}

/** Returns the interface name of a link event. */
function linkOf(line: string): string | undefined {
  return /^(?:Deleted )?\d+: ([^\s:@]+)[@:]/.exec(line)?.[1];
}

/**
 * Whether an event reports that an address was added or removed, which affects routes. With the last IPv4 address of an
 * interface, the kernel removes all routes through it, without events for them. Link-local addresses are ignored,
 * because every new pod causes some.
 */
function isAddress(line: string): boolean {
  return / inet6? (?!fe80:)/.test(line);
}
