/**
 * A node with tunnels: its TunnelAddresses with the real IPAM, on a store in memory and a virtual clock. The dataplane
 * brings each device up as soon as it has an address.
 */
import { type Node, nodeAnnotations, nodeKind } from '../../datastore/schema/core.ts';
import type { IPPool } from '../../datastore/schema/ip-pool.ts';
import { type IPAMBlock, ipamBlockKind, ipReservationKind } from '../../datastore/schema/ipam.ts';
import { Ipam } from '../../ipam/ipam.ts';
import { TunnelAddresses } from '../../ipip/addresses.ts';
import { wantedTunnels } from '../../ipip/choice.ts';
import { silentLog } from '../../lib/log.ts';
import { nodeInfo } from '../../model/node.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryStore } from './memory-store.ts';

const settings = { mtu: { ipip: 0, vxlan4: 0, vxlan6: 0 }, vxlanPort: 4789, vxlanVni: 4096 };

export class TunnelWorld {
  readonly store = new MemoryStore();
  readonly clock = new ManualClock();
  pools: readonly IPPool[] = [];
  /** Networks that IPAM must not assign from. */
  reserved: readonly string[] = [];
  isUncertain = false;
  /** Whether the kernel brings devices up. */
  hasDevices = true;
  /** What the watch shows instead of the Node; undefined: the Node. */
  late: Node | undefined;
  addresses: TunnelAddresses;
  #isChanged = false;

  constructor() {
    this.addresses = this.#start();
  }

  /** Creates the Node, with these annotations of an earlier run. */
  static async create(annotations: Readonly<Record<string, string>> = {}): Promise<TunnelWorld> {
    const world = new TunnelWorld();
    await world.store.create(nodeKind, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name: 'n1',
        annotations: { [nodeAnnotations.ipv4Address]: '10.0.0.1/24', ...annotations },
      },
    });
    return world;
  }

  /** The agent ends and another one starts. */
  restart(): void {
    this.addresses.close();
    this.addresses = this.#start();
  }

  /** Runs the agent's turns until nothing changes. */
  async settle(): Promise<void> {
    for (let turn = 0; ; turn++) {
      if (turn >= 4 && !this.#isChanged) return;
      if (turn > 50) throw new Error('the tunnels do not settle');
      this.#isChanged = false;
      this.#update();
      // Everything waits for promises only, never for time.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async advance(milliseconds: number): Promise<void> {
    this.clock.advance(milliseconds);
    await this.settle();
  }

  /** Writes annotations as another program; null removes one. */
  async annotate(annotations: Readonly<Record<string, string | null>>): Promise<void> {
    await this.store.patch(nodeKind, 'n1', { metadata: { annotations } });
    await this.settle();
  }

  annotation(name: string): string | undefined {
    return this.node()?.metadata.annotations?.[name];
  }

  /** Returns the allocated addresses, as `handle`s. */
  handles(): string[] {
    return this.#blocks().flatMap(({ spec }) =>
      spec.allocations.flatMap((index) =>
        index === null ? [] : (spec.attributes[index]?.handle_id ?? 'unknown'),
      ),
    );
  }

  #start(): TunnelAddresses {
    const view = {
      pools: () => this.pools,
      blocks: () => this.#blocks(),
      configuration: () => undefined,
      reservations: () => [
        ipReservationKind.schema.parse({
          apiVersion: 'projectcalico.org/v3',
          kind: 'IPReservation',
          metadata: { name: 'r' },
          spec: { reservedCIDRs: this.reserved },
        }),
      ],
      nodeLabels: () => ({}),
    };
    const { store, clock } = this;
    const ipam = new Ipam({ node: 'n1' }, { store, clock, view });
    const changed = () => {
      this.#isChanged = true;
    };
    return new TunnelAddresses({ store, clock, ipam, log: silentLog, changed });
  }

  #update(): void {
    const node = this.late ?? this.node();
    if (!node) throw new Error('the Node is missing');
    const { addresses, pools, isUncertain } = this;
    const up = addresses.kinds().filter((kind) => this.hasDevices && addresses.address(kind) !== undefined);
    const wanted = wantedTunnels(pools, [4], settings);
    addresses.update({ self: nodeInfo(node), pools, wanted, up, isUncertain });
  }

  node(): Node | undefined {
    return (this.store.all(nodeKind) as unknown as Node[])[0];
  }

  #blocks(): IPAMBlock[] {
    return this.store.all(ipamBlockKind) as unknown as IPAMBlock[];
  }
}
