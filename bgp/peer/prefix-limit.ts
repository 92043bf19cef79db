/**
 * Enforces maxPrefixes of a peer: warns, ends the session, or drops routes. A peer does not resend dropped routes
 * unasked, so a route refresh (RFC 2918) fetches them when there is room again.
 */
import type { Family } from '../../lib/cidr.ts';
import type { Log } from '../../lib/log.ts';
import type { Clock } from '../../lib/time.ts';
import type { PeerConfig, PrefixLimit } from './config.ts';

/** Wait before a refresh, so that a burst of withdrawals causes one. Each further refresh doubles it. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
/** After this time without a refresh, the wait starts at FIRST_WAIT_MS again. */
const CALM_MS = 600_000;

export interface PrefixLimiterModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly config: () => PeerConfig;
  /** Number of the peer's paths in a family, rejected ones included. */
  readonly count: (family: Family) => number;
  /** Requests all routes of a family again. False when the peer does not support it. */
  readonly requestRefresh: (family: Family) => boolean;
}

export class PrefixLimiter {
  readonly #modules: PrefixLimiterModules;
  /** Families with dropped routes. */
  readonly #dropped = new Set<Family>();
  #isWarned = false;
  #cancel: (() => void) | undefined;
  #requests = 0;
  #requestedAt = Number.NEGATIVE_INFINITY;

  constructor(modules: PrefixLimiterModules) {
    this.#modules = modules;
  }

  /** Forgets dropped routes, when a session ends. */
  reset(): void {
    this.#dropped.clear();
    this.#isWarned = false;
    this.#requests = 0;
    this.#stopTimer();
  }

  /**
   * Call it after an UPDATE, with the families whose routes were dropped. Returns the reason to end the session;
   * undefined when it continues.
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
    if (isOver || count >= (limit * warningPercent) / 100) this.#warn(isOver, count, prefixLimit);
    else if (this.#dropped.size === 0) this.#isWarned = false;
    this.fetchLater();
    return undefined;
  }

  /** Schedules a refresh when routes were dropped and there is room again. Call it after routes are removed. */
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

  /** Applies a changed limit: fetches dropped routes at once if there is room. */
  reconfigured(): void {
    this.#isWarned = false;
    this.#requests = 0;
    this.#stopTimer();
    this.#fetch();
  }

  /** Warning for the operator; undefined when no routes are missing. */
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
      this.#requests++;
      this.#requestedAt = clock.now();
      if (requestRefresh(family)) this.#dropped.delete(family);
      else
        log.warn(
          { family },
          'dropped routes return with the next session: the peer does not support route refresh',
        );
    }
  }

  #warn(isOver: boolean, count: number, { limit, action }: PrefixLimit): void {
    if (this.#isWarned) return;
    this.#isWarned = true;
    const message = isOver ? 'prefix limit exceeded' : 'prefix count near its limit';
    this.#modules.log.warn({ count, limit, action }, message);
  }
}
