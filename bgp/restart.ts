/**
 * Routes of a peer that went away and may come back: graceful restart as the receiving side (RFC 4724, 8538), the
 * last resort after it (RFC 9494), and the marks of an enhanced route refresh (RFC 7313).
 */
import type { Family } from '../lib/cidr.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { attributesOf, internAttributes } from './rib/attribute-values.ts';
import { PathFlag } from './rib/path-table.ts';
import type { Negotiated } from './session/session.ts';
import type { Ribs } from './update-receiver.ts';
import { AttributeFact, Community } from './wire/scan.ts';

/** Routes of a restarted peer that has not ended its initial update by then are dropped, seconds. */
const STALE_PATH_SECONDS = 360;
const families: readonly Family[] = [4, 6];

export interface StaleModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly changed: () => void;
}

export class StaleRoutes {
  readonly #source: number;
  readonly #ribs: Ribs;
  readonly #modules: StaleModules;
  /** What the peer promised when its session was up. */
  #promise: Negotiated | undefined;
  #timers: (() => void)[] = [];
  readonly #stale = new Set<Family>();
  #isRetiring = false;

  constructor(source: number, ribs: Ribs, modules: StaleModules) {
    this.#source = source;
    this.#ribs = ribs;
    this.#modules = modules;
  }

  /** Whether routes are kept that the peer has not confirmed. */
  get isKeeping(): boolean {
    return this.#stale.size > 0;
  }

  /** Whether the peer is about to be removed, on both sides: its routes then stay until `dropAll`. */
  setRetiring(isRetiring: boolean): void {
    this.#isRetiring = isRetiring;
  }

  sessionUp(negotiated: Negotiated): void {
    this.cancel();
    this.#promise = negotiated;
    if (this.#stale.size === 0) return;
    // RFC 4724 section 4.2: a family that is not kept, or not forwarded, is forgotten at once.
    const { peerRestart } = negotiated;
    for (const family of [...this.#stale]) {
      const isKept = peerRestart?.families.some((one) => one.family === family && one.isForwardingKept);
      if (!isKept) this.#drop(family);
    }
    if (this.#stale.size > 0)
      this.#after(STALE_PATH_SECONDS, () => this.#expire('the peer did not end its initial update in time'));
  }

  sessionDown(isGraceful: boolean): void {
    this.cancel();
    const promise = this.#promise;
    if (this.#isRetiring) {
      for (const family of families) this.#mark(family);
      return;
    }
    for (const family of families) {
      const isKept = isGraceful && promise?.peerRestart?.families.some((one) => one.family === family);
      if (isKept || this.#longLivedSeconds(family) > 0) this.#mark(family);
      else this.#drop(family);
    }
    if (this.#stale.size === 0) return;
    const seconds = isGraceful ? (promise?.peerRestart?.restartTimeSeconds ?? 0) : 0;
    // RFC 9494 section 4.2: without graceful restart the long-lived time starts at once.
    this.#after(seconds, () => this.#restartTimeOver());
  }

  /** End-of-RIB, or the end of an enhanced refresh: what was not confirmed is gone. */
  endOfRib(family: Family): void {
    this.#ribs[family].drop(this.#source, 'stale');
    this.#stale.delete(family);
    if (this.#stale.size === 0) this.cancel();
    this.#modules.changed();
  }

  refreshBegins(family: Family): void {
    this.#mark(family);
    this.#after(STALE_PATH_SECONDS, () => this.#expire('the peer did not end its refresh in time'));
  }

  dropAll(): void {
    this.cancel();
    for (const family of families) this.#drop(family);
  }

  cancel(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers = [];
  }

  #mark(family: Family): void {
    if (this.#ribs[family].countOf(this.#source) === 0) return;
    this.#ribs[family].markStale(this.#source);
    this.#stale.add(family);
  }

  #drop(family: Family): void {
    this.#ribs[family].drop(this.#source, 'all');
    this.#stale.delete(family);
  }

  #restartTimeOver(): void {
    for (const family of [...this.#stale]) {
      const seconds = this.#longLivedSeconds(family);
      if (seconds === 0) this.#expireFamily(family, 'the peer did not come back in time');
      else {
        this.#makeLongLived(family);
        this.#after(seconds, () =>
          this.#expireFamily(family, 'the peer did not come back in the long-lived time'),
        );
      }
    }
    this.#modules.changed();
  }

  #longLivedSeconds(family: Family): number {
    return this.#promise?.peerLongLived.find((one) => one.family === family)?.staleSeconds ?? 0;
  }

  /** RFC 9494 section 4.2: least preferred and marked as such, and gone where NO_LLGR says so. */
  #makeLongLived(family: Family): void {
    const rib = this.#ribs[family];
    for (const path of rib.pathsOf(this.#source)) {
      const row = rib.paths.attributes[path]!;
      const facts = rib.attributes.flags[row]!;
      if (!(rib.paths.flags[path]! & PathFlag.STALE)) continue;
      if (facts & AttributeFact.NO_LLGR) {
        rib.remove(path);
        continue;
      }
      if (facts & AttributeFact.LLGR_STALE) continue;
      const attributes = attributesOf(rib.attributes, row);
      const communities = [...(attributes.communities ?? []), Community.LLGR_STALE];
      const marked = internAttributes(rib.attributes, { ...attributes, communities });
      // It cannot be marked, and unmarked it must not stay.
      if (marked === undefined) {
        rib.remove(path);
        continue;
      }
      rib.setAttributes(path, marked);
      rib.attributes.release(marked);
    }
  }

  #expire(reason: string): void {
    for (const family of [...this.#stale]) this.#expireFamily(family, reason);
  }

  #expireFamily(family: Family, reason: string): void {
    this.#modules.log.warn({ reason, family }, 'dropping its stale routes');
    this.#ribs[family].drop(this.#source, 'stale');
    this.#stale.delete(family);
    this.#modules.changed();
  }

  #after(seconds: number, run: () => void): void {
    this.#timers.push(this.#modules.clock.after(seconds * 1000, run));
  }
}
