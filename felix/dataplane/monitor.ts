/**
 * Kernel events by `ip monitor`, as hints to look again: what an event says is not believed, what a dump
 * says is. An overrun (ENOBUFS) or the end of the child is a hint too.
 */
import { createInterface } from 'node:readline';
import { type Child, start } from '../../lib/exec.ts';
import type { Log } from '../../lib/log.ts';

const RESTART_MS = 1000;

export class KernelMonitor {
  readonly #log: Log;
  readonly #hint: (line: string) => void;
  #child: Child | undefined;
  #isClosed = false;

  constructor(hint: (line: string) => void, log: Log) {
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
    createInterface({ input: child.stdout! }).on('line', (line) => this.#hint(line));
    createInterface({ input: child.stderr! }).on('line', (line) => {
      this.#log.debug({ reason: line }, 'ip monitor');
      this.#hint('overrun');
    });
    void child.exited.then(() => {
      if (this.#isClosed) return;
      this.#log.warn({}, 'ip monitor ended: starting it again');
      this.#hint('restarted');
      setTimeout(() => this.#start(), RESTART_MS);
    });
  }
}

/** Whether an event line may concern what is ours. Foreign neighbours and the learned ones of pods do not. */
export function isRelevant(line: string): boolean {
  const state = /\b(REACHABLE|STALE|DELAY|PROBE|FAILED|INCOMPLETE|NOARP)\b/.exec(line)?.[1];
  if (!state) return true;
  // A permanent entry that is deleted goes by way of FAILED.
  return state === 'FAILED' && / dev (cali[0-9a-f]{11}|vxlan)/.test(line);
}

/** Name of the interface that a link event is about. */
export function linkOf(line: string): string | undefined {
  return /^(?:Deleted )?\d+: ([^\s:@]+)[@:]/.exec(line)?.[1];
}

/**
 * Whether an event line says that an address came or went, which takes the kernel's routes along: with the last IPv4
 * address of an interface go all routes through it, without an event of their own. Link-local ones come with each pod.
 */
export function isAddress(line: string): boolean {
  return / inet6? (?!fe80:)/.test(line);
}
