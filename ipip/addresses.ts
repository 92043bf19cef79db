/**
 * This node's addresses in its tunnels (Calico 5.5). Runs the life of each tunnel (lifecycle.ts): turns the desired
 * tunnels, the Node and the devices into events, and performs the actions with IPAM, the Node object and the clock.
 */
import type { Datastore } from '../datastore/datastore.ts';
import { nodeKind } from '../datastore/schema/core.ts';
import type { IPPool } from '../datastore/schema/ip-pool.ts';
import type { AddressSource } from '../ipam/address-source.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { Mutex } from '../lib/mutex.ts';
import type { Clock } from '../lib/time.ts';
import type { NodeInfo } from '../model/node.ts';
import { type TunnelKind, tunnelKinds, tunnels } from '../model/tunnel.ts';
import { hasDevice, type Life, type LifeAction, type LifeEvent, step, unchecked } from './lifecycle.ts';
import { publishedAddress, tunnelAnnotations } from './published.ts';
import {
  assignTunnelAddress,
  heldTunnelAddress,
  isOutsidePools,
  releaseTunnelAddress,
} from './tunnel-ipam.ts';

/** How long a tunnel stays after its end. Other nodes learn of the end and change their routes within this time. */
const LINGER_MS = 15_000;
const RETRY_MS = 5_000;

export interface TunnelAddressModules {
  readonly store: Datastore;
  readonly ipam: AddressSource;
  readonly clock: Clock;
  readonly log: Log;
  /** `address` or `kinds` changed. */
  readonly changed: () => void;
}

export interface TunnelState {
  /** This node, from its Node object. */
  readonly self: NodeInfo;
  readonly pools: readonly IPPool[];
  /** Tunnels that the pools need. */
  readonly wanted: readonly TunnelKind[];
  /** Tunnels whose device is up with its address. */
  readonly up: readonly TunnelKind[];
  /** Whether a pool is unreadable. It may need any tunnel, so no tunnel is removed until it is corrected. */
  readonly isUncertain?: boolean;
}

/** An action that takes time and can fail. */
type Work = Extract<LifeAction, 'assign' | 'publish' | 'withdraw' | 'release'>;

interface Pending {
  readonly kind: TunnelKind;
  readonly work: Work;
}

export class TunnelAddresses {
  readonly #modules: TunnelAddressModules;
  readonly #mutex = new Mutex();
  readonly #lives = new Map<TunnelKind, Life>();
  /** Work to do. What fails stays here, and is repeated. */
  readonly #pending = new Map<TunnelKind, Pending>();
  /** Cancels the timer of a lingering tunnel. */
  readonly #lingering = new Map<TunnelKind, () => void>();
  /** What the last update showed on the Node. It may be older than the last write. */
  readonly #seen = new Map<TunnelKind, string | undefined>();
  /** Undefined before the first update and after `close`. */
  #state: TunnelState | undefined;
  #isQueued = false;
  #cancelRetry = () => {};
  #problem = '';

  constructor(modules: TunnelAddressModules) {
    this.#modules = modules;
  }

  /** Returns tunnels that should have a device: needed ones, and those that may still be in use. */
  kinds(): TunnelKind[] {
    return tunnelKinds.filter((kind) => hasDevice(this.#life(kind)));
  }

  address(kind: TunnelKind): string | undefined {
    return this.#life(kind).address;
  }

  /** Why an address is missing; empty when all are assigned. */
  get problem(): string {
    return this.#problem;
  }

  /** Sets the desired tunnels and those that are up. Publishes, assigns and releases addresses in the background. */
  update(state: TunnelState): void {
    this.#state = state;
    for (const kind of tunnelKinds) {
      this.#observeNode(kind, state.self);
      this.#find(kind, state.self);
      if (state.wanted.includes(kind)) this.#apply(kind, { type: 'wanted' });
      else this.#apply(kind, { type: state.isUncertain ? 'uncertain' : 'unwanted' });
      if (isOutsidePools(this.address(kind), kind, state)) this.#apply(kind, { type: 'lost' });
      this.#apply(kind, { type: state.up.includes(kind) ? 'up' : 'down' });
    }
    this.#work();
  }

  close(): void {
    this.#state = undefined;
    this.#cancelRetry();
    for (const cancel of this.#lingering.values()) cancel();
    this.#pending.clear();
  }

  #life(kind: TunnelKind): Life {
    return this.#lives.get(kind) ?? unchecked;
  }

  /** Reports changes of the Node only, because the watch may not show the last write yet. */
  #observeNode(kind: TunnelKind, self: NodeInfo): void {
    const present = publishedAddress(self, kind);
    if (present === this.#seen.get(kind)) return;
    this.#seen.set(kind, present);
    this.#apply(
      kind,
      present === undefined ? { type: 'unpublished' } : { type: 'published', address: present },
    );
  }

  #find(kind: TunnelKind, self: NodeInfo): void {
    const { state, address } = this.#life(kind);
    if (address !== undefined || state === 'Absent') return;
    const held = heldTunnelAddress(this.#modules.ipam, kind, self.name);
    if (held !== undefined) this.#apply(kind, { type: 'found', address: held });
  }

  #apply(kind: TunnelKind, event: LifeEvent): void {
    const before = this.#life(kind);
    const { next, actions } = step(before, event);
    this.#lives.set(kind, next);
    if (next.state !== before.state) this.#pending.delete(kind);
    for (const action of actions) this.#perform(kind, action);
  }

  #perform(kind: TunnelKind, action: LifeAction): void {
    switch (action) {
      case 'startLinger':
        this.#lingering.get(kind)?.();
        this.#lingering.set(
          kind,
          this.#modules.clock.after(LINGER_MS, () => this.#apply(kind, { type: 'lingered' })),
        );
        break;
      case 'stopLinger':
        this.#lingering.get(kind)?.();
        this.#lingering.delete(kind);
        break;
      case 'changed':
        this.#modules.changed();
        break;
      default:
        this.#pending.set(kind, { kind, work: action });
        this.#work();
    }
  }

  /** Does the pending work after that which is under way. */
  #work(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    void this.#mutex.run(async () => {
      this.#isQueued = false;
      const reasons = new Set<string>();
      for (const task of [
        () => this.#writeNode(),
        ...tunnelKinds.map((kind) => () => this.#assign(kind)),
        ...tunnelKinds.map((kind) => () => this.#release(kind)),
      ]) {
        await task().catch((error: unknown) => reasons.add(messageOf(error)));
        // `close` may have been called meanwhile.
        if (!this.#state) return;
      }
      this.#problem = reasons.size > 0 ? `tunnel address: ${[...reasons].join('; ')}` : '';
      if (!this.#problem) return;
      this.#modules.log.warn({ reason: this.#problem }, 'tunnel address: retrying');
      this.#cancelRetry();
      this.#cancelRetry = this.#modules.clock.after(RETRY_MS, () => this.#work());
    });
  }

  /** Reports what came of a piece of work, and ends it unless it was replaced. */
  #done(pending: Pending, event: LifeEvent): void {
    if (!this.#state) return;
    if (this.#pending.get(pending.kind) === pending) this.#pending.delete(pending.kind);
    this.#apply(pending.kind, event);
  }

  #pendingWork(kind: TunnelKind, ...works: Work[]): Pending | undefined {
    const pending = this.#pending.get(kind);
    return pending && works.includes(pending.work) ? pending : undefined;
  }

  /** Publishes and withdraws addresses, all in one write. */
  async #writeNode(): Promise<void> {
    const name = this.#state?.self.name;
    if (name === undefined) return;
    const annotations: Record<string, string | null> = {};
    const done: (() => void)[] = [];
    for (const kind of tunnelKinds) {
      const pending = this.#pendingWork(kind, 'publish', 'withdraw');
      if (!pending) continue;
      const address = pending.work === 'publish' ? this.address(kind) : undefined;
      Object.assign(annotations, tunnelAnnotations(name, kind, address));
      done.push(() =>
        this.#done(pending, address === undefined ? { type: 'unpublished' } : { type: 'published', address }),
      );
    }
    if (done.length === 0) return;
    this.#modules.log.info({ annotations }, 'publishing tunnel addresses');
    await this.#modules.store.patch(nodeKind, name, { metadata: { annotations } }, { isStatus: true });
    for (const report of done) report();
  }

  async #assign(kind: TunnelKind): Promise<void> {
    const pending = this.#pendingWork(kind, 'assign');
    if (!pending || !this.#state) return;
    const before = this.address(kind);
    const address = await assignTunnelAddress(this.#modules.ipam, kind, this.#state);
    // Without a pool that assigns addresses, the work waits for the next update.
    if (address === undefined) return;
    if (address !== before)
      this.#modules.log.info({ address, device: tunnels[kind].device }, 'tunnel address in use');
    this.#done(pending, { type: 'assigned', address });
  }

  async #release(kind: TunnelKind): Promise<void> {
    const pending = this.#pendingWork(kind, 'release');
    if (!pending || !this.#state) return;
    await releaseTunnelAddress(this.#modules.ipam, kind, this.#state.self.name);
    this.#done(pending, { type: 'released' });
  }
}
