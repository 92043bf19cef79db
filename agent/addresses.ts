/** Which address a node is known by: given, kept, or the first that fits (Calico reference 7.4, first-found). */
import { type Family, formatCidr, parseCidr } from '../lib/cidr.ts';
import { CodedError } from '../lib/errors.ts';
import { run } from '../lib/exec.ts';

export interface InterfaceAddress {
  readonly device: string;
  readonly isUp: boolean;
  readonly mtu: number;
  /** With the prefix length of its subnet. */
  readonly cidr: string;
  readonly scope: string;
}

/** Interfaces that never carry a node's address. */
const excluded =
  /^(docker|cbr|dummy|podman|virbr|lxcbr|veth|lo$|br-|cali|tunl|flannel|kube-ipvs|cni|vxlan|wireguard|wg-|nodelocaldns)/;

/** Addresses of this network namespace, in order of interface index. */
export async function readAddresses(): Promise<InterfaceAddress[]> {
  const result = await run('ip', ['-j', 'addr', 'show']);
  if (!result.ok) throw new CodedError('CONFIG', `ip addr show: ${result.stderr}. Install iproute2.`);
  const rows = JSON.parse(result.stdout || '[]') as {
    ifname?: string;
    flags?: string[];
    mtu?: number;
    addr_info?: { local: string; prefixlen: number; scope: string }[];
  }[];
  return rows.flatMap(({ ifname = '', flags = [], mtu = 1500, addr_info = [] }) =>
    addr_info.map(({ local, prefixlen, scope }) => ({
      device: ifname,
      isUp: flags.includes('UP'),
      mtu,
      cidr: `${local}/${prefixlen}`,
      scope,
    })),
  );
}

/**
 * The node's address as CIDR; undefined for none. `setting` is IP or IP6, `present` what the Node already
 * says. Throws CodedError CONFIG with a sentence.
 */
export function chooseAddress(
  family: Family,
  setting: string | undefined,
  present: string | undefined,
  addresses: readonly InterfaceAddress[],
): string | undefined {
  const name = family === 4 ? 'IP' : 'IP6';
  if (setting === 'none') return undefined;
  if (setting === undefined && present !== undefined) return present;
  const ofFamily = addresses.filter(({ cidr }) => parseCidr(cidr)?.family === family);
  if (setting === undefined || setting === 'autodetect') {
    return ofFamily.find(({ device, isUp, scope }) => isUp && scope === 'global' && !excluded.test(device))
      ?.cidr;
  }
  const given = parseCidr(setting);
  if (given?.family !== family) {
    throw new CodedError(
      'CONFIG',
      `${name}=${setting}: must be "autodetect", "none", or an IPv${family} address with or without prefix length`,
    );
  }
  if (setting.includes('/')) return formatCidr(given);
  // Without a prefix length: that of the interface which has the address (Calico 7.5).
  return ofFamily.find(({ cidr }) => cidr.split('/')[0] === setting)?.cidr ?? formatCidr(given);
}
