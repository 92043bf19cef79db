/**
 * This node's addresses in its tunnels (Calico 5.5). IPAM assigns them from pools that use the tunnel. When the device
 * is up the agent publishes them on the Node, and other nodes start to use the tunnel. It releases an address some time
 * after its tunnel ends.
 */
import type { Datastore } from '../datastore/datastore.ts';
import { nodeKind } from '../datastore/schema/core.ts';
import { type IPPool, isTerminating } from '../datastore/schema/ip-pool.ts';
import type { AddressSource } from '../ipam/address-source.ts';
import { contains, mustCidr, parseAddress } from '../lib/cidr.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { Mutex } from '../lib/mutex.ts';
import { parseSelector } from '../lib/selector.ts';
import type { NodeInfo } from '../model/node.ts';
import { type TunnelKind, tunnelKinds, tunnels, vtepMac } from '../model/tunnel.ts';
import { tunnelOf } from './choice.ts';

/** How long a tunnel stays after its end. Other nodes learn of the end and change their routes within this time. */
const LINGER_MS = 15_000;
const RETRY_MS = 5_000;

const handles: Readonly<Record<TunnelKind, { prefix: string; type: string }>> = {
  ipip: { prefix: 'ipip-tunnel-addr', type: 'ipipTunnelAddress' },
  vxlan4: { prefix: 'vxlan-tunnel-addr', type: 'vxlanTunnelAddress' },
  vxlan6: { prefix: 'vxlan-v6-tunnel-addr', type: 'vxlanV6TunnelAddress' },
};

export interface TunnelAddressModules {
  readonly store: Datastore;
  readonly ipam: AddressSource;
  readonly clock: Clock;
  readonly log: Log;
  /** `addresses` or `kinds` changed. */
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

export class TunnelAddresses {
  readonly #modules: TunnelAddressModules;
  readonly #mutex = new Mutex();
  readonly #addresses = new Map<TunnelKind, string>();
  /** When the device of an unneeded tunnel may be removed, milliseconds. */
  readonly #lingering = new Map<TunnelKind, number>();
  /** Tunnels that were checked for leftovers of an earlier run. */
  readonly #cleaned = new Set<TunnelKind>();
  #state: TunnelState | undefined;
  #isUpdating = false;
  #cancel = () => {};
  #problem = '';
  #said = '';

  constructor(modules: TunnelAddressModules) {
    this.#modules = modules;
  }

  /** Returns tunnels that should have a device: needed ones, and those that may still be in use. */
  kinds(): TunnelKind[] {
    return tunnelKinds.filter((kind) => this.#state?.wanted.includes(kind) || this.#lingering.has(kind));
  }

  address(kind: TunnelKind): string | undefined {
    return this.#addresses.get(kind);
  }

  /** Why an address is missing; empty when all are assigned. */
  get problem(): string {
    return this.#problem;
  }

  /** Sets the desired tunnels and those that are up. Publishes, assigns and releases addresses in the background. */
  update(state: TunnelState): void {
    const now = this.#modules.clock.now();
    for (const kind of this.#state?.wanted ?? [])
      if (!state.wanted.includes(kind)) this.#lingering.set(kind, now + LINGER_MS);
    // A device of an earlier run may also still be in use.
    if (!this.#state)
      for (const kind of tunnelKinds)
        if (state.self.tunnels[kind] && !state.wanted.includes(kind))
          this.#lingering.set(kind, now + LINGER_MS);
    if (state.isUncertain || this.#state?.isUncertain) this.#retain(state.self, now);
    for (const kind of state.wanted) this.#lingering.delete(kind);
    this.#state = state;
    this.#work();
  }

  close(): void {
    this.#cancel();
    this.#state = undefined;
  }

  /** Restarts the timers of tunnels that may still be in use. They keep their addresses, also from an earlier run. */
  #retain(self: NodeInfo, now: number): void {
    for (const kind of this.#lingering.keys()) {
      this.#lingering.set(kind, now + LINGER_MS);
      const [address] = this.#modules.ipam.held(handleOf(kind, self.name));
      if (address && !this.#addresses.has(kind)) this.#addresses.set(kind, address);
    }
  }

  #work(): void {
    if (this.#isUpdating) return;
    this.#isUpdating = true;
    void this.#mutex.run(async () => {
      this.#isUpdating = false;
      const steps = [
        (state: TunnelState) => this.#publish(state),
        (state: TunnelState) => this.#assign(state),
        (state: TunnelState) => this.#release(state),
      ];
      try {
        for (const step of steps) {
          // `close` may have been called meanwhile.
          const state = this.#state;
          if (!state) return;
          await step(state);
        }
        this.#problem = '';
      } catch (error) {
        if (!this.#state) return;
        this.#problem = `tunnel address: ${messageOf(error)}`;
        this.#modules.log.warn({ reason: this.#problem }, 'tunnel address: retrying');
        this.#later(RETRY_MS);
      }
    });
  }

  #later(delayMs: number): void {
    this.#cancel();
    this.#cancel = this.#modules.clock.after(delayMs, () => this.#work());
  }

  async #assign({ self, pools, wanted }: TunnelState): Promise<void> {
    for (const kind of wanted) {
      const { family } = tunnels[kind];
      const usable = pools.filter((pool) => isUsable(pool, kind, self));
      const present = this.#addresses.get(kind);
      const isGood = present !== undefined && usable.some(({ spec }) => isInside(spec.cidr, present));
      if (isGood) continue;
      const handleId = handleOf(kind, self.name);
      const held = this.#modules.ipam.held(handleId);
      if (usable.length === 0) {
        // Pools without new addresses may still have pods that use the tunnel, so it keeps its address.
        if (held[0] !== undefined) this.#use(kind, held[0]);
        continue;
      }
      // The pools no longer contain the address (Calico I-053).
      if (held.some((address) => !usable.some(({ spec }) => isInside(spec.cidr, address))))
        await this.#modules.ipam.releaseHandle(handleId);
      const [address] = await this.#modules.ipam.assign({
        handleId,
        families: [family],
        attributes: { node: self.name, type: handles[kind].type },
        namespaceLabels: {},
        use: 'Tunnel',
        pools: { [family]: usable.map(({ metadata }) => metadata.name) },
      });
      this.#use(kind, address!);
    }
  }

  #use(kind: TunnelKind, address: string): void {
    if (address === this.#addresses.get(kind)) return;
    this.#addresses.set(kind, address);
    this.#modules.log.info({ address, device: tunnels[kind].device }, 'tunnel address in use');
    this.#modules.changed();
  }

  /** Publishes addresses on the Node, only those of tunnels that are up. */
  async #publish({ self, wanted, up, isUncertain }: TunnelState): Promise<void> {
    const annotations: Record<string, string | null> = {};
    for (const kind of tunnelKinds) {
      if (isUncertain && !wanted.includes(kind)) continue;
      const { annotation, macAnnotation, family } = tunnels[kind];
      const address = wanted.includes(kind) && up.includes(kind) ? this.#addresses.get(kind) : undefined;
      const end = self.tunnels[kind];
      // An address with a MAC address other than the device's does not count as published.
      const present = !macAnnotation || end?.mac === vtepMac(self.name, family) ? end?.address : undefined;
      // Until the device is up, the address from an earlier run stays.
      if (address === present || (!address && wanted.includes(kind))) continue;
      annotations[annotation] = address ?? null;
      if (macAnnotation) annotations[macAnnotation] = address ? vtepMac(self.name, family) : null;
    }
    if (Object.keys(annotations).length === 0) {
      this.#said = '';
      return;
    }
    // The watch may not show the last write yet.
    const said = JSON.stringify([annotations, self.tunnels]);
    if (said === this.#said) return;
    this.#modules.log.info({ annotations }, 'publishing tunnel addresses');
    await this.#modules.store.patch(nodeKind, self.name, { metadata: { annotations } }, { isStatus: true });
    this.#said = said;
  }

  async #release({ self, wanted, isUncertain }: TunnelState): Promise<void> {
    if (isUncertain) return;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const kind of tunnelKinds) {
      if (wanted.includes(kind)) continue;
      const left = (this.#lingering.get(kind) ?? 0) - this.#modules.clock.now();
      if (left > 0) {
        nextMs = Math.min(nextMs, left);
        continue;
      }
      const handleId = handleOf(kind, self.name);
      if (this.#addresses.has(kind) || !this.#cleaned.has(kind))
        if (this.#modules.ipam.held(handleId).length > 0) await this.#modules.ipam.releaseHandle(handleId);
      this.#cleaned.add(kind);
      this.#addresses.delete(kind);
      if (this.#lingering.delete(kind)) this.#modules.changed();
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#later(nextMs);
  }
}

/** Whether the tunnel may have an address from the pool (Calico I-052). */
function isUsable(pool: IPPool, kind: TunnelKind, { labels }: NodeInfo): boolean {
  const selector = parseSelector(pool.spec.nodeSelector);
  return (
    tunnelOf(pool) === kind &&
    !pool.spec.disabled &&
    !isTerminating(pool) &&
    pool.spec.allowedUses.includes('Tunnel') &&
    selector.ok &&
    selector.matches(labels)
  );
}

function isInside(cidr: string, address: string): boolean {
  const parsed = parseAddress(address);
  return parsed !== undefined && contains(mustCidr(cidr), parsed);
}

function handleOf(kind: TunnelKind, node: string): string {
  return `${handles[kind].prefix}-${node}`;
}
