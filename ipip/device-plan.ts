/**
 * Plans changes to the tunnel devices by comparing the desired with the kernel's state, as commands for `ip -batch` and
 * `bridge -batch`. Pure. Additions come before route changes, removals after them. Removing a neighbour or a forwarding
 * entry first would drop the packets of its routes; removing an address removes the routes with that source.
 */
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

/** Commands per program, without its name. */
export interface TunnelCommands {
  readonly ip: readonly string[];
  readonly bridge: readonly string[];
}

export interface TunnelPlan {
  readonly beforeRoutes: TunnelCommands;
  readonly afterRoutes: TunnelCommands;
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

export function planTunnels(
  wanted: readonly Tunnel[],
  present: ReadonlyMap<string, TunnelDevice>,
): TunnelPlan {
  const before: Commands = { ip: [], bridge: [] };
  const after: Commands = { ip: [], bridge: [] };
  for (const tunnel of wanted) {
    const name = tunnels[tunnel.kind].device;
    const found = present.get(name);
    const isUsable = found !== undefined && isSameVxlan(tunnel.vxlan, found);
    if (found && !isUsable) before.ip.push(`link del dev ${name}`);
    if (!isUsable) before.ip.push(addCommand(name, tunnel));
    const device = isUsable ? found : undefined;
    if (tunnel.kind === 'ipip' && !device) before.ip.push(`link set dev ${name} mtu ${tunnel.mtu}`);
    if (device && device.mtu !== tunnel.mtu) before.ip.push(`link set dev ${name} mtu ${tunnel.mtu}`);
    if (device && tunnel.vxlan && device.mac !== tunnel.vxlan.mac)
      before.ip.push(`link set dev ${name} address ${tunnel.vxlan.mac}`);
    if (!device?.isUp) before.ip.push(`link set dev ${name} up`);
    const addresses = addressChange(name, tunnel, device);
    before.ip.push(...addresses.added);
    after.ip.push(...addresses.removed);
    if (!tunnel.vxlan) continue;
    const neighbours = neighbourChange(name, tunnel.vxlan, device);
    const forwarding = forwardingChange(name, tunnel.vxlan, device);
    before.ip.push(...neighbours.added);
    before.bridge.push(...forwarding.added);
    after.ip.push(...neighbours.removed);
    after.bridge.push(...forwarding.removed);
  }
  after.ip.push(...removals(wanted, present));
  return { beforeRoutes: before, afterRoutes: after };
}

interface Commands extends TunnelCommands {
  readonly ip: string[];
  readonly bridge: string[];
}

interface Change {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** Whether a device can be changed to the desired state: its VNI, port and local address are fixed (Calico F-065). */
function isSameVxlan(wanted: VxlanDevice | undefined, { vxlan }: TunnelDevice): boolean {
  if (!wanted) return true;
  return vxlan?.vni === wanted.vni && vxlan.port === wanted.port && vxlan.local === wanted.local;
}

function addCommand(name: string, { vxlan, mtu }: Tunnel): string {
  // This loads the kernel module, which creates tunl0.
  if (!vxlan) return `link add name ${name} type ipip`;
  const { vni, port, local, mac } = vxlan;
  return `link add name ${name} address ${mac} mtu ${mtu} type vxlan id ${vni} dstport ${port} local ${local} nolearning`;
}

/**
 * Keeps exactly one address of ours on the device, or none until IPAM assigns one. It is the source only of this node's
 * packets through the tunnel, as their routes specify. Other packets must not use it, such as a reply to a local pod
 * that contacted another address of this node. But the kernel would choose it when tunl0 precedes the uplink. So it has
 * link scope in IPv4. In IPv6 it is deprecated, and the device has use_oif_addrs_only (model/sysctls.ts).
 */
function addressChange(name: string, { address, kind }: Tunnel, device: TunnelDevice | undefined): Change {
  const wanted = address && `${address}/${tunnels[kind].family === 4 ? 32 : 128}`;
  const present = device?.addresses ?? [];
  return {
    added:
      wanted && !present.includes(wanted) && !device?.foreignAddresses?.includes(wanted)
        ? [`address add ${wanted} dev ${name}${kind === 'vxlan6' ? ' nodad preferred_lft 0' : ' scope link'}`]
        : [],
    removed: present.filter((one) => one !== wanted).map((one) => `address del ${one} dev ${name}`),
  };
}

function neighbourChange(name: string, { remotes }: VxlanDevice, device: TunnelDevice | undefined): Change {
  const wanted = new Map(remotes.map(({ address, mac }) => [address, mac]));
  return {
    added: [...wanted]
      .filter(([address, mac]) => device?.neighbours.get(address) !== mac)
      .map(([address, mac]) => `neigh replace ${address} lladdr ${mac} dev ${name} nud permanent`),
    removed: [...(device?.neighbours.keys() ?? [])]
      .filter((address) => !wanted.has(address))
      .map((address) => `neigh del ${address} dev ${name}`),
  };
}

function forwardingChange(name: string, { remotes }: VxlanDevice, device: TunnelDevice | undefined): Change {
  const wanted = new Map(remotes.map(({ mac, node }) => [mac, node]));
  return {
    added: [...wanted]
      .filter(([mac, node]) => device?.forwarding.get(mac) !== node)
      .map(([mac, node]) => `fdb replace ${mac} dev ${name} dst ${node} self permanent`),
    removed: [...(device?.forwarding ?? [])]
      .filter(([mac]) => !wanted.has(mac))
      .map(([mac, node]) => `fdb del ${mac} dev ${name} dst ${node} self`),
  };
}

/** Removes unwanted VXLAN devices, and our address from tunl0, which belongs to the kernel (Calico F-054, F-069). */
function removals(wanted: readonly Tunnel[], present: ReadonlyMap<string, TunnelDevice>): string[] {
  return tunnelKinds.flatMap((kind) => {
    const { device: name } = tunnels[kind];
    const device = present.get(name);
    if (!device || wanted.some((tunnel) => tunnel.kind === kind)) return [];
    if (kind !== 'ipip') return [`link del dev ${name}`];
    return device.addresses.map((address) => `address del ${address} dev ${name}`);
  });
}
