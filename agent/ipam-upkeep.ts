/**
 * What an agent puts right in IPAM once after its start, because an agent before it may have died half-way: affinities
 * of its node's blocks at once, addresses and handles that nobody knows when that agent has surely ended.
 */
import type { Datastore } from '../datastore/datastore.ts';
import { ipamHandleKind } from '../datastore/schema/ipam.ts';
import type { Ipam } from '../ipam/ipam.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { ownLeaks } from './own-leaks.ts';
import type { View } from './view.ts';

/** Longer than an agent that is replaced may take to end. */
const COLLECT_MS = 15_000;

export interface IpamUpkeepOptions {
  readonly node: string;
  /** When this agent started, epoch milliseconds. */
  readonly startedAt: number;
}

export interface IpamUpkeepModules {
  readonly ipam: Ipam;
  readonly store: Datastore;
  readonly view: Pick<View, 'affinities' | 'blocks' | 'pod'>;
  /** Handles of the pods that this agent has, and of those that it is adding. */
  readonly handles: () => Iterable<string>;
  readonly clock: Clock;
  readonly log: Log;
}

export class IpamUpkeep {
  readonly #options: IpamUpkeepOptions;
  readonly #modules: IpamUpkeepModules;
  #isRepaired = false;
  #isCollected = false;
  #cancel = () => {};

  constructor(options: IpamUpkeepOptions, modules: IpamUpkeepModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** The view is in sync: does what has not been done yet. */
  update(): void {
    const { clock, log } = this.#modules;
    if (!this.#isRepaired) {
      this.#isRepaired = true;
      this.#repair().catch((error: unknown) => {
        log.warn({ reason: messageOf(error) }, 'affinities not repaired: trying again with the next change');
        this.#isRepaired = false;
      });
    }
    if (this.#isCollected) return;
    this.#isCollected = true;
    this.#cancel = clock.after(COLLECT_MS, () => {
      this.#collect().catch((error: unknown) => {
        log.warn(
          { reason: messageOf(error) },
          'what an earlier agent left in IPAM stays for the controllers',
        );
      });
    });
  }

  close(): void {
    this.#cancel();
  }

  async #repair(): Promise<void> {
    const { ipam, view, log } = this.#modules;
    const blocks = await ipam.repair(view.affinities());
    if (blocks.length > 0) log.warn({ blocks }, 'confirmed affinities that an earlier agent left half-way');
  }

  async #collect(): Promise<void> {
    const { ipam, store, view, handles, log } = this.#modules;
    const leaked = ownLeaks({
      ...this.#options,
      handles: await store.list(ipamHandleKind),
      // Now, and not before the list came.
      blocks: view.blocks(),
      known: new Set(handles()),
      podOf: view.pod,
    });
    for (const handle of leaked) await ipam.releaseHandle(handle);
    if (leaked.length > 0) log.warn({ handles: leaked }, 'released what an earlier agent left in IPAM');
  }
}
