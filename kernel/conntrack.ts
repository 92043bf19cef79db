/**
 * Flushes tracked connections of moved addresses, so that the kernel does not send their packets along the old path.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Family, familyOf } from '../lib/cidr.ts';
import { messageOf } from '../lib/errors.ts';
import { start } from '../lib/exec.ts';
import type { Log } from '../lib/log.ts';
import type { Connections } from './port.ts';

/** Pods are deleted in bursts; one pass over the table serves a whole burst. */
const COALESCE_MS = 100;
const TIMEOUT_MS = 30_000;
const COUNT_FILE = '/proc/sys/net/netfilter/nf_conntrack_count';

/** Removes tracked connections from and to addresses. Needs Debian's conntrack; logs once if it is missing. */
export class Conntrack implements Connections {
  readonly #log: Log;
  readonly #tracked: () => number | undefined;
  /** Addresses to flush. Bounded by the node's pods. */
  #waiting = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #isMissing = false;

  /** `tracked` returns the number of connections that the kernel tracks; undefined when unknown. */
  constructor(log: Log, tracked = trackedCount) {
    this.#log = log;
    this.#tracked = tracked;
  }

  /** Flushes the addresses' connections after a short delay. */
  flush(addresses: readonly string[]): void {
    if (this.#isMissing) return;
    for (const address of addresses) this.#waiting.add(address);
    this.#timer ??= setTimeout(() => {
      const due = [...this.#waiting];
      this.#waiting = new Set();
      this.#timer = undefined;
      this.#flushNow(due).catch((error: unknown) =>
        this.#log.warn(
          { reason: messageOf(error) },
          'connections of moved addresses remain until they time out',
        ),
      );
    }, COALESCE_MS);
  }

  /**
   * Flushes connections that were masqueraded with a link-local address, which the kernel chooses while the host has no
   * other IPv6 address. Such a connection gets no replies, and keeps this source while the pod continues to send.
   */
  async flushLinkLocal(): Promise<void> {
    if (this.#isMissing || this.#tracked() === 0) return;
    const list = start('conntrack', ['-L', '-f', 'ipv6', '--src-nat']);
    const timer = setTimeout(() => list.kill('SIGKILL'), TIMEOUT_MS);
    list.stderr?.resume();
    const sources = await linkLocalSources(createInterface({ input: list.stdout! }));
    await list.exited;
    clearTimeout(timer);
    for (const source of sources) await removeWhere(6, '--reply-dst', source);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  async #flushNow(addresses: readonly string[]): Promise<void> {
    if (this.#tracked() === 0) return;
    for (const family of [4, 6] as const) {
      const own = addresses.filter((address) => familyOf(address) === family);
      if (own.length === 0) continue;
      const { present, isMissing } = await presentIn(family, new Set(own));
      if (isMissing) {
        this.#isMissing = true;
        this.#log.warn(
          {},
          'conntrack is not installed: connections of moved addresses remain until they time out',
        );
        return;
      }
      // Most pods leave no connections; scan the table again only for those that do.
      for (const address of present) await remove(family, address);
    }
  }
}

/** Returns the addresses that have connections. A pod can fill the table, so it is read line by line. */
async function presentIn(
  family: Family,
  wanted: ReadonlySet<string>,
): Promise<{ present: Set<string>; isMissing: boolean }> {
  const child = start('conntrack', ['-L', '-f', `ipv${family}`]);
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
  child.stderr?.resume();
  const present = await addressesIn(createInterface({ input: child.stdout! }), wanted);
  const { isMissing } = await child.exited;
  clearTimeout(timer);
  return { present, isMissing };
}

/** Returns the wanted addresses that appear in `conntrack -L`, as source or destination in either direction. */
export async function addressesIn(
  lines: AsyncIterable<string> | Iterable<string>,
  wanted: ReadonlySet<string>,
): Promise<Set<string>> {
  const present = new Set<string>();
  for await (const line of lines)
    for (const [, address] of line.matchAll(/\b(?:src|dst)=(\S+)/g))
      if (wanted.has(address!)) present.add(address!);
  return present;
}

/** Returns link-local addresses that appear in `conntrack -L` as the translated source of a connection. */
export async function linkLocalSources(
  lines: AsyncIterable<string> | Iterable<string>,
): Promise<Set<string>> {
  const found = new Set<string>();
  for await (const line of lines) {
    const [source] = /\bsrc=(\S+)/.exec(line)?.slice(1) ?? [];
    const [answered] = /\bdst=\S+.*\bdst=(fe80:\S+)/.exec(line)?.slice(1) ?? [];
    if (answered && source !== answered) found.add(answered);
  }
  return found;
}

async function remove(family: Family, address: string): Promise<void> {
  for (const direction of ['--orig-src', '--orig-dst', '--reply-src', '--reply-dst'])
    await removeWhere(family, direction, address);
}

/** Removes matching connections. Discards the output, one line per removed connection. */
async function removeWhere(family: Family, direction: string, address: string): Promise<void> {
  const child = start('conntrack', ['-D', '-f', `ipv${family}`, direction, address], { stdout: 'ignore' });
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
  child.stderr?.resume();
  await child.exited;
  clearTimeout(timer);
}

/**
 * Returns the number of tracked connections in this network namespace; undefined when the kernel does not report it.
 */
function trackedCount(): number | undefined {
  try {
    return Number(readFileSync(COUNT_FILE, 'utf8'));
  } catch {
    return undefined;
  }
}
