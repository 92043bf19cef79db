/** Tunnel devices in the kernel, as `ip` and `bridge` show them. */
import type { TunnelDevice } from '../../ipip/device-plan.ts';
import { tunnelKinds, tunnels } from '../../ipip/tunnel.ts';
import { run } from '../../lib/exec.ts';
import type { KernelState } from './kernel.ts';

interface VxlanJson {
  ifname: string;
  linkinfo?: { info_data?: { id?: number; port?: number; local?: string; local6?: string } };
}

interface ForwardingJson {
  mac: string;
  dst?: string;
  state?: string;
}

/** Our devices that are there; costs nothing where there is none. */
export async function observeTunnels(kernel: KernelState): Promise<Map<string, TunnelDevice>> {
  const present = tunnelKinds.filter((kind) => kernel.links.has(tunnels[kind].device));
  const vxlans = present.some((kind) => kind !== 'ipip') ? await readVxlans() : new Map();
  const devices = await Promise.all(
    present.map(async (kind): Promise<TunnelDevice> => {
      const { device: name } = tunnels[kind];
      const link = kernel.links.get(name)!;
      return {
        name,
        isUp: link.isUp,
        mtu: link.mtu,
        mac: link.mac,
        addresses: kernel.addresses.filter(({ device }) => device === name).map(({ cidr }) => cidr),
        vxlan: vxlans.get(name),
        neighbours: new Map(
          kernel.neighbours.filter(({ device }) => device === name).map(({ address, mac }) => [address, mac]),
        ),
        forwarding: kind === 'ipip' ? new Map() : await readForwarding(name),
      };
    }),
  );
  return new Map(devices.map((device) => [device.name, device]));
}

async function readVxlans(): Promise<Map<string, NonNullable<TunnelDevice['vxlan']>>> {
  const stdout = await read('ip', ['-d', '-j', 'link', 'show', 'type', 'vxlan']);
  return new Map(
    (JSON.parse(stdout || '[]') as VxlanJson[]).map(({ ifname, linkinfo }) => {
      const { id = 0, port = 0, local, local6 } = linkinfo?.info_data ?? {};
      return [ifname, { vni: id, port, local: local ?? local6 ?? '' }];
    }),
  );
}

async function readForwarding(name: string): Promise<Map<string, string>> {
  const stdout = await read('bridge', ['-j', 'fdb', 'show', 'dev', name]);
  const rows = JSON.parse(stdout || '[]') as ForwardingJson[];
  return new Map(rows.flatMap(({ mac, dst, state }) => (dst && state === 'permanent' ? [[mac, dst]] : [])));
}

/** A dump that failed is not an empty one: what it did not show would be made again. */
async function read(command: string, args: readonly string[]): Promise<string> {
  const { ok, code, stdout, stderr } = await run(command, args);
  if (!ok) throw new Error(`${command} ${args.join(' ')}: ${stderr || `exit ${code}`}`);
  return stdout;
}

/**
 * Kernels before 5.8 compute wrong checksums when they leave that to the network card (Calico F-053); `override` says
 * it for kernels that are not judged right by their number.
 */
export async function switchOffloadOff(device: string): Promise<string | undefined> {
  const result = await run('ethtool', ['-K', device, 'tx-checksum-ip-generic', 'off']);
  return result.ok
    ? undefined
    : `checksum offload of ${device} cannot be switched off, which this kernel needs: ${result.stderr || `ethtool exits with ${result.code}`}`;
}

export function isOffloadBroken(release: string): boolean {
  const [major = 0, minor = 0] = release.split('.').map(Number);
  return major < 5 || (major === 5 && minor < 8);
}
