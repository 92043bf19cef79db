/**
 * One turn of distribution: decides on all prefixes that changed since the last turn, sends the changes to the update
 * groups, reports the routes for the kernel, and advances the groups' syncs.
 */
import type { Family } from '../lib/cidr.ts';
import type { Time } from '../lib/time.ts';
import type { UpdateGroups } from './group/update-groups.ts';
import type { LearnedRoutes } from './learned-routes.ts';
import type { Ribs } from './peer/receiver.ts';
import type { SourceTable } from './rib/source.ts';
import type { SpeakerEvents } from './speaker-options.ts';

export interface DistributionModules {
  readonly clock: Time;
  readonly ribs: Ribs;
  readonly sources: SourceTable;
  readonly groups: UpdateGroups;
  /** Undefined for a speaker without kernel. */
  readonly learned: LearnedRoutes | undefined;
  /** Sends each End-of-RIB that no longer has to wait. */
  readonly sendEndOfRib: () => void;
  readonly events: Pick<SpeakerEvents, 'changed' | 'converged'>;
  /** Runs the callback and logs what it throws. */
  readonly guard: (run: () => void) => void;
}

/** Maximum pause between two distributions, milliseconds. */
const MAX_PAUSE_MS = 10;
const families: readonly Family[] = [4, 6];

export class Distribution {
  readonly #modules: DistributionModules;
  #hasWork = false;
  #isScheduled = false;
  /** No distribution before this, by the monotonic clock. */
  #nextAt = 0;
  /** Source rows of removed peers, to be released when no path refers to them. */
  #oldSources: number[] = [];

  constructor(modules: DistributionModules) {
    this.#modules = modules;
  }

  /** A group has a sync to continue. */
  workChanged(): void {
    this.#hasWork = true;
    this.schedule();
  }

  /** Releases the source row of a removed peer, after the next turn has removed its paths from all groups. */
  releaseSource(source: number): void {
    this.#oldSources.push(source);
  }

  /**
   * Schedules one decision and distribution at the end of this turn, for all of its messages. After a long
   * distribution, the next one waits for the same time, at most MAX_PAUSE_MS. It then includes all changes since, and
   * half of the CPU time remains for reading. A change after a pause does not wait.
   */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const { clock, ribs, events } = this.#modules;
    const since = clock.monotonic();
    const run = () => {
      this.#isScheduled = false;
      const hasChanges = families.some((family) => ribs[family].hasChanges);
      const startedAt = clock.monotonic();
      this.runNow();
      const endedAt = clock.monotonic();
      this.#nextAt = endedAt + Math.min(endedAt - startedAt, MAX_PAUSE_MS);
      if (hasChanges) events.converged?.((endedAt - since) / 1000);
    };
    const pause = this.#nextAt - since;
    if (pause >= 1) clock.after(pause, run);
    else clock.turn(run);
  }

  /** Decides and distributes now. Never throws. */
  runNow(): void {
    this.#modules.guard(() => this.#distribute());
  }

  #distribute(): void {
    const { ribs, groups, learned, sources, sendEndOfRib, events } = this.#modules;
    let hasChanged = false;
    for (const family of families) {
      const rib = ribs[family];
      if (!rib.hasChanges) continue;
      const prefixes = rib.decideChanged();
      groups.flush(family, prefixes, rib.touchedPaths());
      if (learned?.update(family, prefixes)) hasChanged = true;
      rib.endTurn(groups.isComplete(family));
    }
    if (this.#oldSources.length > 0) {
      for (const source of this.#oldSources) sources.release(source);
      this.#oldSources = [];
    }
    if (this.#hasWork) {
      this.#hasWork = groups.step();
      if (this.#hasWork) this.schedule();
    }
    sendEndOfRib();
    if (hasChanged) events.changed();
  }
}
