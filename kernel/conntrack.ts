/**
 * Flushes tracked connections of moved addresses, so that the kernel does not send their packets along the old path.
 */
import { readFileSync } from 'node:fs';
import { type Family, familyOf } from '../lib/cidr.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { systemTime, type Time } from '../lib/time.ts';
import { isMalformed } from './netlink/message.ts';
import {
  type Connection,
  connectionDump,
  decodeConnection,
  deleteConnection,
} from './netlink/nfnetlink/connection.ts';
import { NETLINK_NETFILTER } from './netlink/socket.ts';
import { Sockets } from './netlink/sockets.ts';
import type { Connections } from './port.ts';

/** Pods are deleted in bursts; one pass serves a whole burst. */
const COALESCE_MS = 100;
const COUNT_FILE = '/proc/sys/net/netfilter/nf_conntrack_count';
const NOT_FLUSHED = 'connections of moved addresses remain until they time out';

export interface ConntrackModules {
  readonly log: Log;
  readonly sockets?: Sockets;
  /** Returns the number of connections that the kernel tracks; undefined when unknown. */
  readonly tracked?: () => number | undefined;
  readonly time?: Pick<Time, 'after'>;
}

/** Removes tracked connections from and to addresses. Warns once if that does not work. */
export class Conntrack implements Connections {
  readonly #log: Log;
  readonly #sockets: Sockets;
  readonly #tracked: () => number | undefined;
  readonly #time: Pick<Time, 'after'>;
  /** Addresses to flush. Bounded by the node's pods. */
  #waiting = new Set<string>();
  #cancel: (() => void) | undefined;
  #hasWarned = false;

  constructor(modules: ConntrackModules) {
    const { log, sockets = new Sockets(NETLINK_NETFILTER) } = modules;
    this.#log = log;
    this.#sockets = sockets;
    this.#tracked = modules.tracked ?? trackedCount;
    this.#time = modules.time ?? systemTime;
  }

  /** Flushes the addresses' connections after a short delay. */
  flush(addresses: readonly string[]): void {
    for (const address of addresses) this.#waiting.add(address);
    this.#cancel ??= this.#time.after(COALESCE_MS, () => {
      const due = [...this.#waiting];
      this.#waiting = new Set();
      this.#cancel = undefined;
      void this.#flushNow(due);
    });
  }

  /**
   * Flushes connections that were masqueraded with a link-local address, which the kernel chooses while the host has no
   * other IPv6 address. Such a connection gets no replies, and keeps this source while the pod continues to send.
   */
  async flushLinkLocal(): Promise<void> {
    if (this.#tracked() === 0) return;
    await this.#warnOnce(() => this.#deleteWhere(6, isMasqueradedToLinkLocal));
  }

  close(): void {
    this.#cancel?.();
    this.#sockets.close();
  }

  async #flushNow(addresses: readonly string[]): Promise<void> {
    if (this.#tracked() === 0) return;
    await this.#warnOnce(async () => {
      for (const family of [4, 6] as const) {
        const own = new Set(addresses.filter((address) => familyOf(address) === family));
        if (own.size > 0) await this.#deleteWhere(family, (connection) => concerns(connection, own));
      }
    });
  }

  /** Compares here: a filter of the kernel for an IPv6 address finds all others instead (Linux 6.18). */
  async #deleteWhere(family: Family, isWanted: (connection: Connection) => boolean): Promise<void> {
    const found = await this.#sockets.dump(connectionDump(family), (message) => {
      const connection = decodeConnection(message);
      if (!connection || isMalformed(connection) || !isWanted(connection)) return undefined;
      return connection;
    });
    const failures = await this.#sockets.run(found.map(deleteConnection));
    // Connections that ended meanwhile are gone as wanted.
    const failure = failures.find(({ code }) => code !== 'ENOENT');
    if (failure) throw new CodedError('NETLINK', failure.message);
  }

  async #warnOnce(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#hasWarned) this.#log.warn({ reason: messageOf(error) }, NOT_FLUSHED);
      this.#hasWarned = true;
    }
  }
}

/** Whether a connection has one of the addresses on either side of either direction. */
export function concerns({ original, reply }: Connection, addresses: ReadonlySet<string>): boolean {
  return [original.source, original.destination, reply.source, reply.destination].some((address) =>
    addresses.has(address),
  );
}

/** Whether the kernel replaced the source of a connection with a link-local address. */
export function isMasqueradedToLinkLocal({ original, reply }: Connection): boolean {
  return reply.destination.startsWith('fe80:') && reply.destination !== original.source;
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
