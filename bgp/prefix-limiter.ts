/**
 * maxPrefixes of a peer: a warning, the end of the session, or routes that are dropped. What was dropped is fetched by a
 * route refresh (RFC 2918) when there is room again, because the peer does not send it of its own accord.
 */
import type { Family } from '../lib/cidr.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { PeerConfig } from './peer-config.ts';

/** Wait before a refresh, so that withdrawals which come together cause one; doubled with each further one. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
/** After so long without a refresh the wait is short again. */
const CALM_MS = 600_000;

export interface PrefixLimiterModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly config: () => PeerConfig;
  /** Paths of the peer in a family, rejected ones too. */
  readonly count: (family: Family) => number;
  /** Asks the peer to send everything again. False when it cannot. */
  readonly requestRefresh: (family: Family) => boolean;
}

export class PrefixLimiter {
  readonly #modules: PrefixLimiterModules;
  /** Families of which routes are missing. */
  readonly #dropped = new Set<Family>();
  #isWarned = false;
  #cancel: (() => void) | undefined;
  #requests = 0;
  #requestedAt = Number.NEGATIVE_INFINITY;

  constructor(modules: PrefixLimiterModules) {
    this.#modules = modules;
  }

  /** A session begins, or ended: nothing of it is missing. */
  reset(): void {
    this.#dropped.clear();
    this.#isWarned = false;
    this.#requests = 0;
    this.#stopTimer();
  }

  /**
   * After an UPDATE, with the families of which routes were dropped. Returns why the session has to end; undefined when it
   * may go on.
   */
  check(dropped: readonly Family[]): string | undefined {
    const { families, prefixLimit, name } = this.#modules.config();
    if (!prefixLimit) return undefined;
    const { limit, action, warningPercent } = prefixLimit;
    for (const family of dropped) this.#dropped.add(family);
    let count = 0;
    for (const family of families) count = Math.max(count, this.#modules.count(family));
    const isOver = dropped.length > 0 || count > limit;
    if (isOver && action === 'Restart')
      return `the peer announces more than ${limit} prefixes, the limit in BGPPeer ${name}`;
    if (isOver || count >= (limit * warningPercent) / 100) this.#warn(isOver, count);
    else if (this.#dropped.size === 0) this.#isWarned = false;
    this.fetchLater();
    return undefined;
  }

  /** Routes went: fetches what was dropped if there is room for it now. */
  fetchLater(): void {
    if (this.#dropped.size === 0 || this.#cancel || !this.#hasRoom()) return;
    const { clock } = this.#modules;
    if (clock.now() - this.#requestedAt > CALM_MS) this.#requests = 0;
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.#requests, 10));
    this.#cancel = clock.after(waitMs, () => {
      this.#cancel = undefined;
      this.#fetch();
    });
  }

  /** The limit may be another: fetches what was dropped at once. */
  reconfigured(): void {
    this.#isWarned = false;
    this.#requests = 0;
    this.#stopTimer();
    this.#fetch();
  }

  /** What an operator should know; undefined when nothing is missing. */
  get warning(): string | undefined {
    const { prefixLimit, name } = this.#modules.config();
    if (this.#dropped.size === 0 || !prefixLimit) return undefined;
    const families = [...this.#dropped].map((family) => `IPv${family}`).join(' and ');
    return `${families} routes above ${prefixLimit.limit} are dropped (maxPrefixes of BGPPeer ${name}): raise the limit, or let the peer announce fewer`;
  }

  #stopTimer(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #hasRoom(): boolean {
    for (const family of this.#dropped) if (this.#isBelow(family)) return true;
    return false;
  }

  #isBelow(family: Family): boolean {
    const { prefixLimit } = this.#modules.config();
    return prefixLimit?.action !== 'Drop' || this.#modules.count(family) < prefixLimit.limit;
  }

  #fetch(): void {
    const { clock, log, requestRefresh } = this.#modules;
    for (const family of this.#dropped) {
      if (!this.#isBelow(family)) continue;
      if (!requestRefresh(family)) {
        log.warn({ family }, 'dropped routes come with the next session: the peer has no route refresh');
        continue;
      }
      this.#requests++;
      this.#requestedAt = clock.now();
      this.#dropped.delete(family);
    }
  }

  #warn(isOver: boolean, count: number): void {
    if (this.#isWarned) return;
    this.#isWarned = true;
    const { limit, action } = this.#modules.config().prefixLimit!;
    const message = isOver ? 'too many prefixes' : 'the number of prefixes nears its limit';
    this.#modules.log.warn({ count, limit, action }, message);
  }
}
