/**
 * The agent's tunnels: the tunnels of this node, their addresses and devices, the next hops that use them, and warnings
 * about them. Connects the pure parts of ipip and felix with IPAM and the Node object.
 */
import type { IPPool } from '../datastore/schema/ip-pool.ts';
import type { Interfaces } from '../kernel/port.ts';
import type { Family } from '../lib/cidr.ts';
import type { NodeInfo } from '../model/node.ts';
import { type TunnelKind, type TunnelSettings, tunnels } from '../model/tunnel.ts';
import { TunnelAddresses, type TunnelAddressModules } from './addresses.ts';
import { tunnelOf, wantedTunnels } from './choice.ts';
import { desiredTunnels } from './desired.ts';
import type { Tunnel } from './device-plan.ts';
import { type Encapsulate, encapsulation, encapsulationWarnings } from './encapsulation.ts';
import { podMtu } from './mtu.ts';
import { uplinkMtu } from './uplink.ts';

/** Tunnels that this kernel cannot have, with the reason. */
export type MissingTunnels = Readonly<Partial<Record<TunnelKind, string>>>;

export interface TunnellingSettings {
  readonly tunnels: TunnelSettings;
  /** Interfaces whose smallest MTU is the uplink's. */
  readonly mtuPattern: RegExp;
}

/** Input of all calculations here. */
export interface TunnellingInput {
  readonly self: NodeInfo;
  readonly nodes: readonly NodeInfo[];
  readonly families: readonly Family[];
  readonly pools: readonly IPPool[];
  readonly settings: TunnellingSettings;
  /** Whether a pool is unreadable. It may need any tunnel. */
  readonly isUncertain?: boolean;
}

/** State of a tunnel, for calictl. */
export interface TunnelStatus {
  readonly device: string;
  /** This node's address in the tunnel. */
  readonly address: string | undefined;
  readonly mtu: number | undefined;
  readonly isUp: boolean;
}

export class Tunnelling {
  readonly #addresses: TunnelAddresses;
  #input: TunnellingInput | undefined;
  #interfaces: Interfaces = { links: new Map(), addresses: [] };
  /** Whether the kernel was checked. Before that its MTU is unknown. */
  isObserved = false;
  #missing: MissingTunnels = {};

  constructor(modules: TunnelAddressModules) {
    this.#addresses = new TunnelAddresses(modules);
  }

  /** Sets the input. */
  update(input: TunnellingInput): void {
    this.#input = input;
    const { self, pools, families, settings, isUncertain } = input;
    const wanted = wantedTunnels(pools, families, settings.tunnels);
    this.#addresses.update({ self, pools, wanted, up: this.#up(), ...(isUncertain ? { isUncertain } : {}) });
  }

  /** Runs the calculations for an input without applying them. */
  rehearse(input: TunnellingInput): void {
    const { pools, families, settings } = input;
    wantedTunnels(pools, families, settings.tunnels);
    this.#desiredFor(input);
    encapsulationWarnings({ ...input, up: this.#up() });
  }

  /** Sets the kernel's state. Returns whether a recalculation is needed. */
  observe(interfaces: Interfaces, missing: MissingTunnels): boolean {
    const before = this.#summary();
    this.isObserved = true;
    this.#interfaces = interfaces;
    this.#missing = missing;
    return this.#summary() !== before;
  }

  /** Returns the devices that this node should have. */
  desired(): Tunnel[] {
    return this.#input ? this.#desiredFor(this.#input) : [];
  }

  #desiredFor({ self, nodes, settings }: TunnellingInput): Tunnel[] {
    return desiredTunnels({
      self,
      nodes,
      kinds: this.#addresses.kinds(),
      addressOf: (kind) => this.#addresses.address(kind),
      uplinkMtu: this.#uplinkMtu(),
      settings: settings.tunnels,
    });
  }

  /** Returns the function that selects next hops for tunnels. */
  encapsulate(): Encapsulate {
    if (!this.#input) return (_, nextHops) => ({ gateways: nextHops });
    const addressOf = (kind: TunnelKind) => this.#addresses.address(kind);
    return encapsulation({ ...this.#input, up: this.#up(), addressOf });
  }

  /** Returns the MTU of new pods. */
  podMtu(): number {
    if (!this.#input) return this.#uplinkMtu();
    return podMtu(this.#addresses.kinds(), this.#uplinkMtu(), this.#input.settings.tunnels);
  }

  /** Returns why the node is not ready: tunnels that a pool needs and this kernel does not support. */
  notReady(): string[] {
    return (Object.entries(this.#missing) as [TunnelKind, string][]).map(([kind, reason]) => {
      const asking = this.#input?.pools.filter((pool) => tunnelOf(pool) === kind) ?? [];
      const { module } = tunnels[kind];
      const names = asking.map(({ metadata }) => metadata.name).join(', ');
      const instead = kind === 'ipip' ? 'or set vxlanMode instead of ipipMode' : 'or choose another mode';
      return (
        `this kernel does not support ${kind === 'ipip' ? 'IPIP' : 'VXLAN'} (${reason}), which IPPool ${names} requires: load the module ` +
        `(modprobe ${module}), ${instead}; until then its packets are not encapsulated; other pools are not affected`
      );
    });
  }

  /** Returns other warnings for the operator. */
  warnings(): string[] {
    const { problem } = this.#addresses;
    const warnings = this.#input ? encapsulationWarnings({ ...this.#input, up: this.#up() }) : [];
    return problem ? [problem, ...warnings] : warnings;
  }

  status(): TunnelStatus[] {
    const up = this.#up();
    return this.#addresses.kinds().map((kind) => ({
      device: tunnels[kind].device,
      address: this.#addresses.address(kind),
      mtu: this.#interfaces.links.get(tunnels[kind].device)?.mtu,
      isUp: up.includes(kind),
    }));
  }

  close(): void {
    this.#addresses.close();
  }

  /** Returns tunnels whose device is up, and has its address if one is assigned. */
  #up(): TunnelKind[] {
    return this.#addresses.kinds().filter((kind) => {
      const { device } = tunnels[kind];
      const address = this.#addresses.address(kind);
      const isThere = this.#interfaces.links.get(device)?.isUp === true && !(kind in this.#missing);
      const has = (one: { device: string; cidr: string }) =>
        one.device === device && one.cidr.split('/')[0] === address;
      return isThere && (address === undefined || this.#interfaces.addresses.some(has));
    });
  }

  #uplinkMtu(): number {
    const { self, settings } = this.#input ?? {};
    return self && settings ? uplinkMtu(this.#interfaces, self, settings.mtuPattern) : 1500;
  }

  /** Returns the relevant part of the kernel's state. */
  #summary(): string {
    return JSON.stringify([this.#up(), this.#uplinkMtu(), this.#missing]);
  }
}
