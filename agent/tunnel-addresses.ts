/**
 * This node's addresses in its tunnels (Calico 5.5): assigned by IPAM from pools that use the tunnel, published on the
 * Node once the device is up, which is what makes other nodes use it, and given back some time after the tunnel ends.
 */
import type { Datastore } from '../datastore/datastore.ts';
import { nodeKind } from '../datastore/schema/core.ts';
import { type IPPool, isTerminating } from '../datastore/schema/ip-pool.ts';
import type { NodeInfo } from '../felix/calc/topology.ts';
import type { AddressSource } from '../ipam/address-source.ts';
import { type TunnelKind, tunnelKinds, tunnelOf, tunnels, vtepMac } from '../ipip/tunnel.ts';
import { contains, mustCidr, parseAddress } from '../lib/cidr.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { Mutex } from '../lib/mutex.ts';
import { parseSelector } from '../lib/selector.ts';

/** Other nodes see that a tunnel ends, and change their routes, within this time: until then it stays. */
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
  /** This node, as its Node object says. */
  readonly self: NodeInfo;
  readonly pools: readonly IPPool[];
  /** Tunnels that the pools ask for. */
  readonly wanted: readonly TunnelKind[];
  /** Tunnels whose device is up with its address. */
  readonly up: readonly TunnelKind[];
  /** Whether a pool cannot be read, which may ask for any tunnel: until it is corrected, no tunnel is given up. */
  readonly isUncertain?: boolean;
}

export class TunnelAddresses {
  readonly #modules: TunnelAddressModules;
  readonly #mutex = new Mutex();
  readonly #addresses = new Map<TunnelKind, string>();
  /** When the device of a tunnel that nobody wants any more may go, by the clock. */
  readonly #lingering = new Map<TunnelKind, number>();
  /** Tunnels whose leftovers of an earlier run have been looked for. */
  readonly #cleaned = new Set<TunnelKind>();
  #state: TunnelState | undefined;
  #isUpdating = false;
  #cancel = () => {};
  #problem = '';
  #said = '';

  constructor(modules: TunnelAddressModules) {
    this.#modules = modules;
  }

  /** Tunnels whose devices there shall be: those that are wanted, and those that may still be in use. */
  kinds(): TunnelKind[] {
    return tunnelKinds.filter((kind) => this.#state?.wanted.includes(kind) || this.#lingering.has(kind));
  }

  address(kind: TunnelKind): string | undefined {
    return this.#addresses.get(kind);
  }

  /** Why an address is missing; empty when none is. */
  get problem(): string {
    return this.#problem;
  }

  /** Takes over what is wanted and what is up; the rest follows by itself. */
  update(state: TunnelState): void {
    const now = this.#modules.clock.now();
    for (const kind of this.#state?.wanted ?? [])
      if (!state.wanted.includes(kind)) this.#lingering.set(kind, now + LINGER_MS);
    // A device of an earlier run may still be in use as well.
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

  /** What may still be in use keeps its address, also one of an earlier run; its time begins again. */
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
          // It may have been closed meanwhile.
          const state = this.#state;
          if (!state) return;
          await step(state);
        }
        this.#problem = '';
      } catch (error) {
        if (!this.#state) return;
        this.#problem = `tunnel address: ${messageOf(error)}`;
        this.#modules.log.warn({ reason: this.#problem }, 'trying again');
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
        // Pools that give no new address may still have pods behind the tunnel: it keeps the address it has.
        if (held[0] !== undefined) this.#use(kind, held[0]);
        continue;
      }
      // One that the pools do not give any more (Calico I-053).
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
    this.#modules.log.info({ address, device: tunnels[kind].device }, 'address of the tunnel');
    this.#modules.changed();
  }

  /** On the Node: addresses of tunnels that are up, and none of others. */
  async #publish({ self, wanted, up, isUncertain }: TunnelState): Promise<void> {
    const annotations: Record<string, string | null> = {};
    for (const kind of tunnelKinds) {
      if (isUncertain && !wanted.includes(kind)) continue;
      const { annotation, macAnnotation, family } = tunnels[kind];
      const address = wanted.includes(kind) && up.includes(kind) ? this.#addresses.get(kind) : undefined;
      const end = self.tunnels[kind];
      // Also a MAC address that is not the device's is not what this node says.
      const present = !macAnnotation || end?.mac === vtepMac(self.name, family) ? end?.address : undefined;
      // While the device is on its way, what an earlier run said stays.
      if (address === present || (!address && wanted.includes(kind))) continue;
      annotations[annotation] = address ?? null;
      if (macAnnotation) annotations[macAnnotation] = address ? vtepMac(self.name, family) : null;
    }
    if (Object.keys(annotations).length === 0) return;
    // What was written a moment ago comes back by the watch.
    const said = JSON.stringify([annotations, self.tunnels]);
    if (said === this.#said) return;
    this.#modules.log.info({ annotations }, 'publishing the tunnels of this node');
    await this.#modules.store.patch(nodeKind, self.name, { metadata: { annotations } }, { isStatus: true });
    this.#said = said;
  }

  async #release({ self, wanted, isUncertain }: TunnelState): Promise<void> {
    if (isUncertain) return;
    for (const kind of tunnelKinds) {
      if (wanted.includes(kind)) continue;
      const left = (this.#lingering.get(kind) ?? 0) - this.#modules.clock.now();
      if (left > 0) {
        this.#later(left);
        continue;
      }
      const handleId = handleOf(kind, self.name);
      if (this.#addresses.has(kind) || !this.#cleaned.has(kind))
        if (this.#modules.ipam.held(handleId).length > 0) await this.#modules.ipam.releaseHandle(handleId);
      this.#cleaned.add(kind);
      this.#addresses.delete(kind);
      if (this.#lingering.delete(kind)) this.#modules.changed();
    }
  }
}

/** Calico I-052. */
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
