/**
 * Plans changes to the tunnel devices by comparing the desired with the kernel's state. Pure. Additions come before
 * route changes, removals after them. Removing a neighbour or a forwarding entry first would drop the packets of its
 * routes; removing an address removes the routes with that source.
 */
import type {
  AddressChange,
  ForwardingChange,
  KernelChange,
  LinkAddition,
  LinkUpdate,
  NeighbourChange,
} from '../kernel/change.ts';
import { type TunnelKind, tunnelKinds, tunnels } from '../model/tunnel.ts';

/** The desired state of a tunnel device. */
export interface Tunnel {
  readonly kind: TunnelKind;
  /** This node's address in the tunnel; undefined until IPAM has assigned one. */
  readonly address: string | undefined;
  readonly mtu: number;
  readonly vxlan?: VxlanDevice | undefined;
}

export interface VxlanDevice {
  readonly vni: number;
  readonly port: number;
  /** This node's address on the uplink: the outer source. */
  readonly local: string;
  readonly mac: string;
  readonly remotes: readonly Vtep[];
}

/** A node's end of the tunnel: its address and MAC address there, and the node address that packets are sent to. */
export interface Vtep {
  readonly address: string;
  readonly mac: string;
  readonly node: string;
}

/** The state of a tunnel device in the kernel. */
export interface TunnelDevice {
  readonly name: string;
  readonly isUp: boolean;
  readonly mtu: number;
  readonly mac: string;
  /** Our addresses with prefix length; on tunl0, those of link scope. */
  readonly addresses: readonly string[];
  /** Addresses that other programs added to tunl0, which belongs to the kernel. */
  readonly foreignAddresses?: readonly string[];
  readonly vxlan: { readonly vni: number; readonly port: number; readonly local: string } | undefined;
  /** Permanent neighbours: address to MAC. */
  readonly neighbours: ReadonlyMap<string, string>;
  /** Permanent forwarding entries: MAC to the node's address. */
  readonly forwarding: ReadonlyMap<string, string>;
}

/** Changes in order. */
export interface TunnelPlan {
  readonly beforeRoutes: readonly KernelChange[];
  readonly afterRoutes: readonly KernelChange[];
}

/**
 * Whether we may change a device with one of our names. All programs may use tunl0, which belongs to the kernel. A
 * VXLAN device is ours if it has the MAC that we derive from the node's name (vtepMac), or the desired VNI, port and
 * local address.
 */
export function isOwnTunnel(
  kind: TunnelKind,
  device: TunnelDevice,
  { mac, wanted }: { readonly mac: string; readonly wanted?: Tunnel | undefined },
): boolean {
  if (kind === 'ipip') return true;
  if (!device.vxlan) return false;
  return device.mac === mac || (wanted?.vxlan !== undefined && isSameVxlan(wanted.vxlan, device));
}

/** Forwarding entries come last on each side, because another program may have to write them. */
export function planTunnels(
  wanted: readonly Tunnel[],
  present: ReadonlyMap<string, TunnelDevice>,
): TunnelPlan {
  const before: KernelChange[] = [];
  const after: KernelChange[] = [];
  const forwarding: Difference<ForwardingChange>[] = [];
  for (const tunnel of wanted) {
    const name = tunnels[tunnel.kind].device;
    const found = present.get(name);
    const device = found !== undefined && isSameVxlan(tunnel.vxlan, found) ? found : undefined;
    if (found && !device) before.push({ object: 'link', verb: 'del', name });
    if (!device) before.push(addition(name, tunnel));
    before.push(...linkUpdates(name, tunnel, device));
    const addresses = addressDifference(name, tunnel, device);
    before.push(...addresses.added);
    after.push(...addresses.removed);
    if (!tunnel.vxlan) continue;
    const neighbours = neighbourDifference(name, tunnel.vxlan, device);
    before.push(...neighbours.added);
    after.push(...neighbours.removed);
    forwarding.push(forwardingDifference(name, tunnel.vxlan, device));
  }
  after.push(...removals(wanted, present));
  return {
    beforeRoutes: [...before, ...forwarding.flatMap(({ added }) => added)],
    afterRoutes: [...after, ...forwarding.flatMap(({ removed }) => removed)],
  };
}

interface Difference<Change extends KernelChange> {
  readonly added: readonly Change[];
  readonly removed: readonly Change[];
}

/** Whether a device can be changed to the desired state: its VNI, port and local address are fixed (Calico F-065). */
function isSameVxlan(wanted: VxlanDevice | undefined, { vxlan }: TunnelDevice): boolean {
  if (!wanted) return true;
  return vxlan?.vni === wanted.vni && vxlan.port === wanted.port && vxlan.local === wanted.local;
}

function addition(name: string, { vxlan, mtu }: Tunnel): LinkAddition {
  // This loads the kernel module, which creates tunl0.
  if (!vxlan) return { object: 'link', verb: 'add', name, kind: { type: 'ipip' } };
  const { vni, port, local, mac } = vxlan;
  return { object: 'link', verb: 'add', name, mac, mtu, kind: { type: 'vxlan', vni, port, local } };
}

/** Returns what a device needs; undefined: it was just created. */
function linkUpdates(
  name: string,
  { kind, mtu, vxlan }: Tunnel,
  device: TunnelDevice | undefined,
): LinkUpdate[] {
  const update = { object: 'link', verb: 'set', name } as const;
  const updates: LinkUpdate[] = [];
  if (device ? device.mtu !== mtu : kind === 'ipip') updates.push({ ...update, mtu });
  if (device && vxlan && device.mac !== vxlan.mac) updates.push({ ...update, mac: vxlan.mac });
  if (!device?.isUp) updates.push({ ...update, isUp: true });
  return updates;
}

/**
 * Keeps exactly one address of ours on the device, or none until IPAM assigns one. It is the source only of this node's
 * packets through the tunnel, as their routes specify. Other packets must not use it, such as a reply to a local pod
 * that contacted another address of this node. But the kernel would choose it when tunl0 precedes the uplink. So it has
 * link scope in IPv4. In IPv6 it is deprecated, and the device has use_oif_addrs_only (model/sysctls.ts).
 */
function addressDifference(
  device: string,
  { address, kind }: Tunnel,
  observed: TunnelDevice | undefined,
): Difference<AddressChange> {
  const wanted = address && `${address}/${tunnels[kind].family === 4 ? 32 : 128}`;
  const present = observed?.addresses ?? [];
  const flags = kind === 'vxlan6' ? { hasNoDad: true, isDeprecated: true } : { isLinkScope: true };
  return {
    added:
      wanted && !present.includes(wanted) && !observed?.foreignAddresses?.includes(wanted)
        ? [{ object: 'address', verb: 'add', cidr: wanted, device, ...flags }]
        : [],
    removed: present
      .filter((cidr) => cidr !== wanted)
      .map((cidr) => ({ object: 'address', verb: 'del', cidr, device })),
  };
}

function neighbourDifference(
  device: string,
  { remotes }: VxlanDevice,
  observed: TunnelDevice | undefined,
): Difference<NeighbourChange> {
  const wanted = new Map(remotes.map(({ address, mac }) => [address, mac]));
  return {
    added: [...wanted]
      .filter(([address, mac]) => observed?.neighbours.get(address) !== mac)
      .map(([address, mac]) => ({ object: 'neighbour', verb: 'replace', address, device, mac })),
    removed: [...(observed?.neighbours.keys() ?? [])]
      .filter((address) => !wanted.has(address))
      .map((address) => ({ object: 'neighbour', verb: 'del', address, device })),
  };
}

function forwardingDifference(
  device: string,
  { remotes }: VxlanDevice,
  observed: TunnelDevice | undefined,
): Difference<ForwardingChange> {
  const wanted = new Map(remotes.map(({ mac, node }) => [mac, node]));
  return {
    added: [...wanted]
      .filter(([mac, node]) => observed?.forwarding.get(mac) !== node)
      .map(([mac, node]) => ({ object: 'forwarding', verb: 'replace', mac, device, node })),
    removed: [...(observed?.forwarding ?? [])]
      .filter(([mac]) => !wanted.has(mac))
      .map(([mac, node]) => ({ object: 'forwarding', verb: 'del', mac, device, node })),
  };
}

/** Removes unwanted VXLAN devices, and our address from tunl0, which belongs to the kernel (Calico F-054, F-069). */
function removals(wanted: readonly Tunnel[], present: ReadonlyMap<string, TunnelDevice>): KernelChange[] {
  return tunnelKinds.flatMap((kind): KernelChange[] => {
    const { device } = tunnels[kind];
    const found = present.get(device);
    if (!found || wanted.some((tunnel) => tunnel.kind === kind)) return [];
    if (kind !== 'ipip') return [{ object: 'link', verb: 'del', name: device }];
    return found.addresses.map((cidr) => ({ object: 'address', verb: 'del', cidr, device }));
  });
}
