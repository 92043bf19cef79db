/** Reads tunnel devices from the kernel. */

import type { InterfaceAddress, KernelState, VxlanReader } from '../kernel/port.ts';
import { type TunnelKind, tunnelKinds, tunnels, vtepMac } from '../model/tunnel.ts';
import { isOwnTunnel, type Tunnel, type TunnelDevice } from './device-plan.ts';

/** Returns the present devices with our names. Runs no command when there are none. */
export async function observeTunnels(
  kernel: KernelState,
  reader: VxlanReader,
): Promise<Map<string, TunnelDevice>> {
  const present = tunnelKinds.filter((kind) => kernel.links.has(tunnels[kind].device));
  const vxlans = present.some((kind) => kind !== 'ipip') ? await reader.readVxlans() : new Map();
  const devices = await Promise.all(
    present.map(async (kind): Promise<TunnelDevice> => {
      const { device: name } = tunnels[kind];
      const link = kernel.links.get(name)!;
      const addresses = kernel.addresses.filter(({ device }) => device === name);
      const isOurs = ({ isLinkScope }: InterfaceAddress) => kind !== 'ipip' || isLinkScope === true;
      return {
        name,
        isUp: link.isUp,
        mtu: link.mtu,
        mac: link.mac,
        addresses: addresses.filter(isOurs).map(({ cidr }) => cidr),
        foreignAddresses: addresses.filter((one) => !isOurs(one)).map(({ cidr }) => cidr),
        vxlan: vxlans.get(name),
        neighbours: new Map(
          kernel.neighbours.filter(({ device }) => device === name).map(({ address, mac }) => [address, mac]),
        ),
        forwarding: kind === 'ipip' ? new Map() : await reader.readForwarding(name),
      };
    }),
  );
  return new Map(devices.map((device) => [device.name, device]));
}

/** Wanted and present tunnels, without devices of other programs that have our names. */
export interface OwnTunnels {
  readonly wanted: readonly Tunnel[];
  readonly present: ReadonlyMap<string, TunnelDevice>;
  /** Why a kind is impossible. */
  readonly foreign: Readonly<Partial<Record<TunnelKind, string>>>;
}

/** Excludes devices that have our names and belong to other programs. */
export function ownTunnels(
  node: string,
  wanted: readonly Tunnel[],
  present: ReadonlyMap<string, TunnelDevice>,
): OwnTunnels {
  const foreign: Partial<Record<TunnelKind, string>> = {};
  for (const kind of tunnelKinds) {
    const { device: name, family } = tunnels[kind];
    const device = present.get(name);
    const facts = { mac: vtepMac(node, family), wanted: wanted.find((tunnel) => tunnel.kind === kind) };
    if (device && !isOwnTunnel(kind, device, facts))
      foreign[kind] = `interface ${name} belongs to another program: rename or remove it`;
  }
  return {
    wanted: wanted.filter(({ kind }) => !(kind in foreign)),
    present: new Map(
      [...present].filter(
        ([name]) => !tunnelKinds.some((kind) => kind in foreign && tunnels[kind].device === name),
      ),
    ),
    foreign,
  };
}

/** Whether checksum offload yields wrong checksums, as in kernels before 5.8 (Calico F-053). */
export function isOffloadBroken(release: string): boolean {
  const [major = 0, minor = 0] = release.split('.').map(Number);
  return major < 5 || (major === 5 && minor < 8);
}
