/**
 * Collects what pods and nodes left behind in IPAM: looks at everything once a period, and soon after a Node has gone.
 * A second collector beside it does no harm: every removal is a compare-and-swap.
 */
import type { Datastore } from '../datastore/datastore.ts';
import type { EventRecorder } from '../datastore/kubernetes/events.ts';
import { kubeControllersConfigurationKind } from '../datastore/schema/cluster.ts';
import { getTolerant } from '../datastore/tolerant.ts';
import { type Audit, audit, type IpamSnapshot, nodeOf } from '../ipam/audit.ts';
import { collect, readSnapshot } from '../ipam/garbage.ts';
import { Suspicions } from '../ipam/suspicions.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { writePoolStatus } from './pool-status.ts';
import { settingsOf } from './settings.ts';

export interface CollectorModules {
  readonly store: Datastore;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventRecorder;
}

/** What the last look saw, for metrics. */
export interface CollectorStats {
  readonly snapshot: Pick<IpamSnapshot, 'pools' | 'blocks'> | undefined;
  readonly candidates: number;
  readonly reclaimed: number;
  /** Why the last look failed; undefined when it did not. */
  readonly error: string | undefined;
}

const RETRY_MS = 10_000;

export class AddressCollector {
  readonly #modules: CollectorModules;
  readonly #suspicions = new Suspicions();
  #stats: CollectorStats = { snapshot: undefined, candidates: 0, reclaimed: 0, error: 'not looked yet' };
  #cancel = () => {};
  #isLooking = false;
  #isClosed = false;

  constructor(modules: CollectorModules) {
    this.#modules = modules;
  }

  get stats(): CollectorStats {
    return this.#stats;
  }

  /** Looks now instead of at the end of the period. */
  look(): void {
    if (this.#isLooking || this.#isClosed) return;
    this.#isLooking = true;
    this.#cancel();
    void this.#pass()
      .catch((error: unknown) => {
        this.#modules.log.warn({ reason: messageOf(error) }, 'cannot look at the addresses: trying again');
        this.#stats = { ...this.#stats, error: messageOf(error) };
        return RETRY_MS;
      })
      .then((nextMs) => {
        this.#isLooking = false;
        if (!this.#isClosed) this.#cancel = this.#modules.clock.after(nextMs, () => this.look());
      });
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  /** One look; milliseconds to the next one. */
  async #pass(): Promise<number> {
    const { store, clock, log } = this.#modules;
    const configuration = await getTolerant(store, kubeControllersConfigurationKind, 'default');
    if (configuration.unreadable)
      log.warn({ reason: configuration.unreadable }, 'nothing is collected until this is corrected');
    const settings = settingsOf(configuration.object?.spec);
    const { periodMs } = settings;
    // It may say that nothing is to be collected.
    const grace = configuration.unreadable ? undefined : settings.grace;
    const snapshot = await readSnapshot(store);
    const found = audit(snapshot);
    await writePoolStatus(store, snapshot, clock.now(), (pool, error) =>
      log.warn({ pool, reason: messageOf(error) }, 'IPPool.status not written: trying again'),
    );
    let { reclaimed } = this.#stats;
    if (grace) {
      const certain = this.#suspicions.confirm(found, clock.now(), grace);
      const collected = await collect(store, certain, (what, error) =>
        log.warn({ what, reason: messageOf(error) }, 'not collected: trying again'),
      );
      reclaimed += collected.addresses.length;
      if (Object.values(collected).some((list) => list.length > 0)) log.info({ ...collected }, 'collected');
      this.#tell(certain, new Set(collected.addresses));
    }
    const { pools, blocks } = snapshot;
    this.#stats = {
      snapshot: { pools, blocks },
      candidates: this.#suspicions.count,
      reclaimed,
      error: undefined,
    };
    // What is suspected is looked at again when its time is over.
    return grace && this.#suspicions.count > 0 ? Math.min(periodMs, grace.nodeMs) : periodMs;
  }

  /** An Event per node that lost addresses. */
  #tell({ leaks, orphans }: Audit, freed: ReadonlySet<string>): void {
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
      this.#modules.log.info({ node }, 'the blocks of a node that does not exist were given back');
  }
}
