/**
 * Repairs IPAM. Confirms affinities of the node's blocks: at once after the start, because an earlier agent may have
 * died before it confirmed them, and later when they stay unconfirmed for a while. Releases unknown addresses and
 * handles once, when an earlier agent has certainly ended.
 */
import type { Datastore } from '../datastore/datastore.ts';
import type { Pod } from '../datastore/schema/core.ts';
import { type BlockAffinity, type IPAMBlock, ipamHandleKind } from '../datastore/schema/ipam.ts';
import type { Boundary } from '../lib/boundary.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Clock } from '../lib/time.ts';
import type { Ipam } from './ipam.ts';
import { ownLeaks } from './leaks.ts';

/** Longer than a replaced agent takes to end. */
const COLLECT_MS = 15_000;
/** Longer than a claim or a release takes, and than the watch lags. */
const CONFIRM_MS = 10_000;

export interface IpamUpkeepOptions {
  readonly node: string;
  /** When this agent started, epoch milliseconds. */
  readonly startedAt: number;
}

/** The copy of the datastore, as far as repairs need it. */
export interface UpkeepView {
  affinities(): readonly BlockAffinity[];
  blocks(): readonly IPAMBlock[];
  pod(namespace: string, name: string): Pod | undefined;
}

export interface IpamUpkeepModules {
  readonly ipam: Pick<Ipam, 'unconfirmed' | 'confirm' | 'releaseHandle'>;
  readonly store: Pick<Datastore, 'list'>;
  readonly view: UpkeepView;
  /** Returns the handles of this agent's pods, including those that it is adding. */
  readonly handles: () => Iterable<string>;
  readonly boundary: Boundary;
  readonly clock: Clock;
  readonly log: Log;
}

export class IpamUpkeep {
  readonly #options: IpamUpkeepOptions;
  readonly #modules: IpamUpkeepModules;
  /** Own blocks without a confirmed affinity, with the time of the next attempt. Bounded by the node's blocks. */
  #due: ReadonlyMap<string, number> | undefined;
  #isConfirming = false;
  #isCollected = false;
  #isClosed = false;
  #cancelConfirm = () => {};
  #cancelCollect = () => {};

  constructor(options: IpamUpkeepOptions, modules: IpamUpkeepModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** Runs pending repairs. Call it when the view is in sync and after changes. */
  update(): void {
    const { clock, log } = this.#modules;
    this.#look();
    if (this.#isCollected) return;
    this.#isCollected = true;
    this.#cancelCollect = clock.after(COLLECT_MS, () => {
      this.#collect().catch((error: unknown) => {
        log.warn(
          { reason: messageOf(error) },
          'IPAM leftovers of an earlier agent not released: left to the controllers',
        );
      });
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelConfirm();
    this.#cancelCollect();
  }

  /** Confirms affinities that are due, and schedules the others. */
  #look(): void {
    const { ipam, view, boundary, clock } = this.#modules;
    this.#cancelConfirm();
    if (this.#isConfirming || this.#isClosed) return;
    const now = clock.now();
    const before = this.#due;
    const first = before ? now + CONFIRM_MS : now;
    const due = new Map(
      ipam.unconfirmed(view.affinities()).map((cidr) => [cidr, before?.get(cidr) ?? first]),
    );
    this.#due = due;
    if (due.size === 0) return;
    const ready = [...due.keys()].filter((cidr) => due.get(cidr)! <= now);
    if (ready.length > 0) void this.#confirm(ready);
    else
      this.#cancelConfirm = clock.after(Math.min(...due.values()) - now, () => {
        boundary.run('IPAM upkeep', () => this.#look());
      });
  }

  /** Confirms affinities. Never rejects. Each is due again later if the view still shows it. */
  async #confirm(cidrs: readonly string[]): Promise<void> {
    const { ipam, boundary, clock, log } = this.#modules;
    this.#isConfirming = true;
    const blocks: string[] = [];
    for (const cidr of cidrs) {
      try {
        if (await ipam.confirm(cidr)) blocks.push(cidr);
      } catch (error) {
        log.warn({ block: cidr, reason: messageOf(error) }, 'affinity not confirmed: retrying');
      }
    }
    if (blocks.length > 0) log.warn({ blocks }, 'unfinished affinities confirmed');
    const next = clock.now() + CONFIRM_MS;
    this.#due = new Map([...(this.#due ?? []), ...cidrs.map((cidr) => [cidr, next] as const)]);
    this.#isConfirming = false;
    boundary.run('IPAM upkeep', () => this.#look());
  }

  async #collect(): Promise<void> {
    const { ipam, store, view, handles, log } = this.#modules;
    const leaked = ownLeaks({
      ...this.#options,
      handles: await store.list(ipamHandleKind),
      // Read after the list has arrived.
      blocks: view.blocks(),
      known: new Set(handles()),
      podOf: view.pod,
    });
    for (const handle of leaked) await ipam.releaseHandle(handle);
    if (leaked.length > 0) log.warn({ handles: leaked }, 'IPAM leftovers of an earlier agent released');
  }
}
