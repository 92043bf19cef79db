/**
 * What to do to the tunnel devices: a pure comparison of what is wanted with what the kernel has, for `ip -batch` and
 * `bridge -batch`. What routes need comes before them and what they needed goes after them: a neighbour or a forwarding
 * entry that goes first takes the packets of its routes along, and an address takes the routes that name it as source.
 */
import { type TunnelKind, tunnelKinds, tunnels } from './tunnel.ts';

/** A tunnel device as it shall be. */
export interface Tunnel {
  readonly kind: TunnelKind;
  /** This node's address in the tunnel; undefined while IPAM has not given one. */
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

/** The other end: a node's address in the tunnel, its MAC address there, and where packets to it are sent. */
export interface Vtep {
  readonly address: string;
  readonly mac: string;
  readonly node: string;
}

/** A tunnel device as the kernel has it. */
export interface TunnelDevice {
  readonly name: string;
  readonly isUp: boolean;
  readonly mtu: number;
  readonly mac: string;
  /** Addresses with prefix length, of global scope. */
  readonly addresses: readonly string[];
  /** Addresses that others gave it: tunl0 is the kernel's, and not ours alone. */
  readonly foreignAddresses?: readonly string[];
  readonly vxlan: { readonly vni: number; readonly port: number; readonly local: string } | undefined;
  /** Permanent neighbours: address to MAC. */
  readonly neighbours: ReadonlyMap<string, string>;
  /** Permanent forwarding entries: MAC to the node's address. */
  readonly forwarding: ReadonlyMap<string, string>;
}

/** Commands for the two programs, without their names. */
export interface TunnelCommands {
  readonly ip: readonly string[];
  readonly bridge: readonly string[];
}

export interface TunnelPlan {
  readonly beforeRoutes: TunnelCommands;
  readonly afterRoutes: TunnelCommands;
}

/**
 * Whether a device with a name of ours is ours: tunl0 is the kernel's and everybody's, a VXLAN device is ours by the MAC
 * that follows from the node's name (vtepMac), or when VNI, port and local address are those that are wanted.
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

/** Whether a device can become what is wanted: VNI, port and local address are for its life (Calico F-065). */
function isSameVxlan(wanted: VxlanDevice | undefined, { vxlan }: TunnelDevice): boolean {
  if (!wanted) return true;
  return vxlan?.vni === wanted.vni && vxlan.port === wanted.port && vxlan.local === wanted.local;
}

function addCommand(name: string, { vxlan, mtu }: Tunnel): string {
  // With its module the kernel makes tunl0 by itself; this loads the module.
  if (!vxlan) return `link add name ${name} type ipip`;
  const { vni, port, local, mac } = vxlan;
  return `link add name ${name} address ${mac} mtu ${mtu} type vxlan id ${vni} dstport ${port} local ${local} nolearning`;
}

/**
 * Exactly one address; none while there is none to have. It is for packets of this node that go through the tunnel,
 * which their routes say; no other packet may leave with it, such as an answer to a local pod that asked another
 * address of this node, and the kernel would choose it where tunl0 comes before the uplink. Hence link scope in IPv4,
 * and in IPv6 deprecated, with use_oif_addrs_only on the device (felix/dataplane/sysctls.ts).
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

/** A VXLAN device that nobody wants goes; tunl0 belongs to the kernel and loses its address (Calico F-054, F-069). */
function removals(wanted: readonly Tunnel[], present: ReadonlyMap<string, TunnelDevice>): string[] {
  return tunnelKinds.flatMap((kind) => {
    const { device: name } = tunnels[kind];
    const device = present.get(name);
    if (!device || wanted.some((tunnel) => tunnel.kind === kind)) return [];
    if (kind !== 'ipip') return [`link del dev ${name}`];
    return device.addresses.map((address) => `address del ${address} dev ${name}`);
  });
}
