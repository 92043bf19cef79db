/** Connections of an address that moved away: the kernel must not send their packets the old way. */
import { readFileSync } from 'node:fs';
import { type Family, familyOf } from '../../lib/cidr.ts';
import { feed } from '../../lib/exec.ts';
import type { Log } from '../../lib/log.ts';

/** Pods are deleted in bursts: one look at the table for all of them. */
const COALESCE_MS = 100;
const TIMEOUT_MS = 30_000;
const COUNT_FILE = '/proc/sys/net/netfilter/nf_conntrack_count';

/** Removes tracked connections from and to addresses. Needs Debian's conntrack; without it, says so once. */
export class Conntrack {
  readonly #log: Log;
  /** Bounded by the pods of the node. */
  #waiting = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #isMissing = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Flushes the addresses' connections, a moment later. */
  flush(addresses: readonly string[]): void {
    if (this.#isMissing) return;
    for (const address of addresses) this.#waiting.add(address);
    this.#timer ??= setTimeout(() => {
      const due = [...this.#waiting];
      this.#waiting = new Set();
      this.#timer = undefined;
      void this.#flushNow(due);
    }, COALESCE_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  async #flushNow(addresses: readonly string[]): Promise<void> {
    if (trackedCount() === 0) return;
    for (const family of [4, 6] as const) {
      const own = addresses.filter((address) => familyOf(address) === family);
      if (own.length === 0) continue;
      const listed = await feed('conntrack', ['-L', '-f', `ipv${family}`], [], TIMEOUT_MS);
      if (listed.outcome === 'missing') {
        this.#isMissing = true;
        this.#log.warn({}, 'conntrack is not installed: connections of moved addresses end by timeout only');
        return;
      }
      // Most pods leave none behind; only for those that do is the table gone through again.
      const present = addressesIn(listed.stdout);
      for (const address of own) if (present.has(address)) await remove(family, address);
    }
  }
}

/** Addresses that a `conntrack -L` names, on either side of either direction. */
export function addressesIn(listing: string): Set<string> {
  return new Set([...listing.matchAll(/\b(?:src|dst)=(\S+)/g)].map(([, address]) => address!));
}

async function remove(family: Family, address: string): Promise<void> {
  for (const direction of ['--orig-src', '--orig-dst', '--reply-src', '--reply-dst']) {
    await feed('conntrack', ['-D', '-f', `ipv${family}`, direction, address], [], TIMEOUT_MS);
  }
}

/** Connections tracked in this network namespace; undefined when the kernel does not say. */
function trackedCount(): number | undefined {
  try {
    return Number(readFileSync(COUNT_FILE, 'utf8'));
  } catch {
    return undefined;
  }
}
