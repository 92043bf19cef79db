/**
 * Stale routes: routes of a peer that stay in use until the peer confirms or replaces them. Three mechanisms create
 * them: graceful restart, here as the Receiving Speaker (RFC 4724, RFC 8538), long-lived graceful restart after it (RFC
 * 9494), and enhanced route refresh (RFC 7313). Each address family is in one phase at a time.
 */
import type { Family } from '../../lib/cidr.ts';
import type { Log } from '../../lib/log.ts';
import { LogLimiter } from '../../lib/log-limiter.ts';
import type { Clock } from '../../lib/time.ts';
import type { Negotiated } from '../session/session.ts';
import { markLongLived } from './long-lived.ts';
import type { Ribs } from './receiver.ts';

/** Time for a restarted peer to finish its initial update, seconds. After it, the stale routes are removed. */
const STALE_PATH_SECONDS = 360;
const families: readonly Family[] = [4, 6];

export interface StaleModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly changed: () => void;
}

/**
 * Why a family has stale routes. `restart`: the session ended, or is up again but End-of-RIB has not arrived.
 * `long-lived`: the same, after the restart time. `refresh`: between BoRR and EoRR. `retiring`: the peer is about to be
 * removed.
 */
type Phase = 'restart' | 'long-lived' | 'refresh' | 'retiring';

interface Kept {
  phase: Phase;
  /** Timer of the phase. */
  cancel: () => void;
  /** Timer of the long-lived stale time, which runs until End-of-RIB (RFC 9494 section 4.2). */
  cancelLongLived: (() => void) | undefined;
}

export class StaleRoutes {
  readonly #source: number;
  readonly #ribs: Ribs;
  readonly #modules: StaleModules;
  readonly #warnings: LogLimiter;
  /** What the peer negotiated in its last session. */
  #negotiated: Negotiated | undefined;
  readonly #kept = new Map<Family, Kept>();
  #isUp = false;
  /** Families whose End-of-RIB arrived in this session. */
  readonly #ended = new Set<Family>();
  /** Families whose long-lived stale time expired in this session before End-of-RIB arrived. */
  readonly #overdue = new Set<Family>();
  #isRetiring = false;

  constructor(source: number, ribs: Ribs, modules: StaleModules) {
    this.#source = source;
    this.#ribs = ribs;
    this.#modules = modules;
    this.#warnings = new LogLimiter(modules.clock, modules.log);
  }

  /** Whether any family has stale routes. */
  get isKeeping(): boolean {
    return this.#kept.size > 0;
  }

  /** Sets whether both sides are about to remove the peer. If so, its routes stay until `dropAll`. */
  setRetiring(isRetiring: boolean): void {
    this.#isRetiring = isRetiring;
    if (isRetiring) return;
    for (const [family, kept] of this.#kept) {
      if (kept.phase !== 'retiring') continue;
      if (this.#isUp) kept.phase = 'restart';
      else this.#awaitRestart(family, this.#restartSeconds());
    }
  }

  sessionUp(negotiated: Negotiated): void {
    this.#negotiated = negotiated;
    this.#isUp = true;
    this.#ended.clear();
    this.#overdue.clear();
    for (const [family, kept] of [...this.#kept]) {
      if (!isKeptBy(negotiated, family, kept.cancelLongLived !== undefined)) {
        this.#drop(family);
        continue;
      }
      kept.cancel();
      kept.cancel = this.#after(STALE_PATH_SECONDS, () =>
        this.#expire(family, 'the peer did not finish its initial update in time'),
      );
    }
  }

  sessionDown(isGraceful: boolean): void {
    this.#isUp = false;
    for (const family of families) {
      if (this.#isRetiring) this.#mark(family, 'retiring');
      // RFC 9494 section 4.2 applies only when RFC 4724 and RFC 8538 retain the routes.
      else if (isGraceful) this.#keepForRestart(family);
      else this.#drop(family);
    }
  }

  /** Handles the End-of-RIB of the initial update: removes the routes that the peer did not send again. */
  endOfRib(family: Family): void {
    this.#ended.add(family);
    this.#overdue.delete(family);
    const phase = this.#kept.get(family)?.phase;
    if (phase !== undefined && phase !== 'refresh') this.#sweep(family);
  }

  /** Handles BoRR. Ignores it before End-of-RIB if the peer has graceful restart (RFC 7313 section 4). */
  refreshBegins(family: Family): void {
    if (this.#negotiated?.peerRestart && !this.#ended.has(family)) {
      this.#warnings.warn(
        `BoRR ${family}`,
        { family },
        'BoRR before End-of-RIB ignored (RFC 7313 section 4)',
      );
      return;
    }
    const kept = this.#mark(family, 'refresh');
    if (kept)
      kept.cancel = this.#after(STALE_PATH_SECONDS, () =>
        this.#expire(family, 'the peer did not finish its refresh in time'),
      );
  }

  /** Handles EoRR: removes the routes that the peer did not send again since BoRR. Ignored without BoRR. */
  refreshEnds(family: Family): void {
    if (this.#kept.get(family)?.phase === 'refresh') this.#sweep(family);
    else this.#modules.log.debug({ family }, 'EoRR without BoRR ignored (RFC 7313 section 4)');
  }

  /** Restores LLGR_STALE after the import policy ran again, which removes it. */
  restoreMarks(family: Family): void {
    if (this.#kept.get(family)?.cancelLongLived) markLongLived(this.#ribs[family], this.#source);
  }

  dropAll(): void {
    for (const family of families) this.#drop(family);
  }

  /** Stops every timer. */
  cancel(): void {
    for (const kept of this.#kept.values()) stopTimers(kept);
  }

  /** Keeps the routes of a family whose peer may be restarting, if graceful restart allows it; else removes them. */
  #keepForRestart(family: Family): void {
    const negotiated = this.#negotiated;
    const isListed = negotiated?.peerRestart?.families.some((one) => one.family === family) ?? false;
    const hasLongLived = this.#longLivedSeconds(family) > 0;
    if ((!isListed && !hasLongLived) || this.#overdue.has(family)) {
      this.#drop(family);
      return;
    }
    const before = this.#kept.get(family)?.phase;
    // Routes that are still stale go (RFC 4724 section 4.2), but stay for the long-lived time (RFC 9494 section 4.2).
    if (before === 'restart' && !hasLongLived) this.#ribs[family].drop(this.#source, 'stale');
    if (this.#mark(family, 'restart')) this.#awaitRestart(family, isListed ? this.#restartSeconds() : 0);
  }

  #restartSeconds(): number {
    return this.#negotiated?.peerRestart?.restartTimeSeconds ?? 0;
  }

  #awaitRestart(family: Family, seconds: number): void {
    const kept = this.#kept.get(family)!;
    kept.phase = 'restart';
    kept.cancel();
    kept.cancel = this.#after(seconds, () => this.#restartTimeOver(family));
  }

  /** Marks the routes of a family as stale and starts a phase. Returns undefined if there are no routes. */
  #mark(family: Family, phase: Phase): Kept | undefined {
    const before = this.#kept.get(family);
    before?.cancel();
    if (this.#ribs[family].countOf(this.#source) === 0) {
      this.#forget(family);
      return undefined;
    }
    this.#ribs[family].markStale(this.#source);
    const kept = { phase, cancel: () => {}, cancelLongLived: before?.cancelLongLived };
    this.#kept.set(family, kept);
    return kept;
  }

  #restartTimeOver(family: Family): void {
    const seconds = this.#longLivedSeconds(family);
    const kept = this.#kept.get(family);
    if (!kept || seconds === 0) {
      this.#expire(family, 'the peer did not return within its restart time');
      return;
    }
    kept.phase = 'long-lived';
    markLongLived(this.#ribs[family], this.#source);
    // A timer that runs already keeps running (RFC 9494 section 4.2).
    kept.cancelLongLived ??= this.#after(seconds, () => this.#longLivedTimeOver(family));
    this.#modules.changed();
  }

  #longLivedTimeOver(family: Family): void {
    if (this.#isUp) this.#overdue.add(family);
    this.#expire(family, 'the peer did not return within its long-lived stale time');
  }

  /** Returns the peer's long-lived stale time in seconds; 0 if it was not negotiated. */
  #longLivedSeconds(family: Family): number {
    const negotiated = this.#negotiated;
    if (!negotiated?.hasLongLived) return 0;
    return negotiated.peerLongLived.find((one) => one.family === family)?.staleSeconds ?? 0;
  }

  #expire(family: Family, reason: string): void {
    this.#modules.log.warn({ reason, family }, 'dropping stale routes');
    this.#sweep(family);
  }

  #sweep(family: Family): void {
    this.#ribs[family].drop(this.#source, 'stale');
    this.#forget(family);
    this.#modules.changed();
  }

  #drop(family: Family): void {
    this.#ribs[family].drop(this.#source, 'all');
    this.#forget(family);
  }

  #forget(family: Family): void {
    const kept = this.#kept.get(family);
    if (kept) stopTimers(kept);
    this.#kept.delete(family);
  }

  #after(seconds: number, run: () => void): () => void {
    return this.#modules.clock.after(seconds * 1000, run);
  }
}

function stopTimers(kept: Kept): void {
  kept.cancel();
  kept.cancelLongLived?.();
}

/**
 * Whether the capabilities of a returned peer allow a family's stale routes to stay. The F bit must be set for graceful
 * restart (RFC 4724 section 4.2) and, in the long-lived phase, for long-lived graceful restart (RFC 9494 section 4.2).
 */
function isKeptBy({ peerRestart, peerLongLived }: Negotiated, family: Family, isLongLived: boolean): boolean {
  const restart = peerRestart?.families.find((one) => one.family === family);
  if (!isLongLived) return restart?.isForwardingKept ?? false;
  const longLived = peerLongLived.find((one) => one.family === family);
  return (longLived?.isForwardingKept ?? false) && (restart?.isForwardingKept ?? true);
}
