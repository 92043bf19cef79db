/**
 * Collects IPAM leftovers of pods and nodes, and removes the finalizer of deleted IPPools. It checks everything once
 * per period, and when a Node is deleted or an IPPool or the configuration changes. A second collector does no harm,
 * because every removal is a compare-and-swap.
 */
import type { Datastore } from '../datastore/datastore.ts';
import type { EventRecorder } from '../datastore/kubernetes/events.ts';
import type { kubeControllersConfigurationKind } from '../datastore/schema/kube-controllers.ts';
import type { Found } from '../datastore/tolerant.ts';
import { type Audit, audit, type IpamSnapshot, nodeOf } from '../ipam/audit.ts';
import { collect, readSnapshot } from '../ipam/garbage.ts';
import { Suspicions } from '../ipam/suspicions.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Clock } from '../lib/time.ts';
import { PoolDeletion } from './pool-deletion.ts';
import { writePoolStatus } from './pool-status.ts';
import { settingsOf } from './settings.ts';

export interface CollectorModules {
  readonly store: Datastore;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventRecorder;
  /** Returns the current KubeControllersConfiguration `default`. */
  readonly configuration: () => Found<typeof kubeControllersConfigurationKind>;
}

/** Results of the last pass, for metrics. */
export interface CollectorStats {
  readonly snapshot: Pick<IpamSnapshot, 'pools' | 'blocks'> | undefined;
  readonly candidates: number;
  readonly reclaimed: number;
  /** Why the last pass failed; undefined when it succeeded. */
  readonly error: string | undefined;
}

const RETRY_MS = 10_000;
/** Interval of passes while a deleted pool exists. */
const DELETION_MS = 2_000;

export class AddressCollector {
  readonly #modules: CollectorModules;
  readonly #suspicions = new Suspicions();
  readonly #deletion: PoolDeletion;
  #stats: CollectorStats = {
    snapshot: undefined,
    candidates: 0,
    reclaimed: 0,
    error: 'the first pass has not finished yet',
  };
  #cancel = () => {};
  #isLooking = false;
  /** Something changed during a pass. */
  #isChanged = false;
  #isClosed = false;

  constructor(modules: CollectorModules) {
    this.#modules = modules;
    this.#deletion = new PoolDeletion(modules.store);
  }

  get stats(): CollectorStats {
    return this.#stats;
  }

  /** Starts a pass now, instead of at the end of the period; during a pass, after it. */
  look(): void {
    this.#isChanged = true;
    if (this.#isLooking || this.#isClosed) return;
    this.#isLooking = true;
    this.#isChanged = false;
    this.#cancel();
    void this.#pass()
      .catch((error: unknown) => {
        this.#modules.log.warn({ reason: messageOf(error) }, 'collection pass failed: retrying');
        this.#stats = { ...this.#stats, error: messageOf(error) };
        return RETRY_MS;
      })
      .then((nextMs) => {
        this.#isLooking = false;
        if (this.#isClosed) return;
        if (this.#isChanged) this.look();
        else this.#cancel = this.#modules.clock.after(nextMs, () => this.look());
      });
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  /** Runs a pass. Resolves to the milliseconds until the next one. */
  async #pass(): Promise<number> {
    const { store, clock, log } = this.#modules;
    const configuration = this.#modules.configuration();
    if (configuration.unreadable)
      log.warn(
        { reason: configuration.unreadable },
        'KubeControllersConfiguration unreadable: collection is off until it is corrected',
      );
    const settings = settingsOf(configuration.object?.spec);
    const { periodMs } = settings;
    // An unreadable configuration may have disabled the collection.
    const grace = configuration.unreadable ? undefined : settings.grace;
    const snapshot = await readSnapshot(store);
    const found = audit(snapshot);
    const deletion = await this.#deletion.look(snapshot, clock.now(), (pool, error) =>
      log.warn({ pool, reason: messageOf(error) }, 'IPPool finalizer not written: retrying'),
    );
    for (const pool of deletion.released)
      log.info({ pool }, 'finalizer removed: the deleted IPPool has no blocks left');
    const gone = new Set(deletion.released);
    const left = snapshot.pools.filter(({ metadata }) => !gone.has(metadata.name));
    await writePoolStatus(store, { ...snapshot, pools: left }, clock.now(), (pool, error) =>
      log.warn({ pool, reason: messageOf(error) }, 'IPPool status not written: retrying'),
    );
    let { reclaimed } = this.#stats;
    if (grace) {
      const certain = this.#suspicions.confirm(found, clock.now(), grace);
      const collected = await collect(store, certain, (what, error) =>
        log.warn({ what, reason: messageOf(error) }, 'not collected: retrying'),
      );
      reclaimed += collected.addresses.length;
      if (Object.values(collected).some((list) => list.length > 0))
        log.info({ ...collected }, 'IPAM garbage collected');
      this.#report(certain, new Set(collected.addresses));
    }
    const { pools, blocks } = snapshot;
    this.#stats = {
      snapshot: { pools, blocks },
      candidates: this.#suspicions.count,
      reclaimed,
      error: undefined,
    };
    // Check suspected leftovers again when their grace period ends.
    const suspicionMs = grace && this.#suspicions.count > 0 ? grace.nodeMs : periodMs;
    return Math.min(periodMs, suspicionMs, deletion.isWaiting ? DELETION_MS : periodMs);
  }

  /** Writes an Event per node that lost addresses. */
  #report({ leaks, orphans }: Audit, freed: ReadonlySet<string>): void {
    const perNode = new Map<string, string[]>();
    for (const { address, attributes, reason } of leaks) {
      const { node } = attributes;
      if (node && freed.has(address))
        perNode.set(node, [...(perNode.get(node) ?? []), `${address} (${reason})`]);
    }
    for (const [node, list] of perNode) {
      const more = list.length > 5 ? ` and ${list.length - 5} more` : '';
      this.#modules.events.ofNode(node, {
        type: 'Normal',
        reason: 'AddressesReclaimed',
        message: `Freed ${list.slice(0, 5).join(', ')}${more}`,
      });
    }
    for (const node of new Set(orphans.flatMap((block) => nodeOf(block) ?? [])))
      this.#modules.log.info({ node }, 'blocks of a deleted node released');
  }
}
