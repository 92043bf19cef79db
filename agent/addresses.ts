/** Which address a node is known by: given, kept, or found by one of Calico's methods (reference 7.4). */
import { lookup } from 'node:dns/promises';
import { contains, type Family, formatCidr, parseCidr } from '../lib/cidr.ts';
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

/**
 * Addresses of this network namespace, in order of interface index. Throws CodedError: CONFIG when ip is not installed,
 * FAILED when it did not answer this time.
 */
export async function readAddresses(): Promise<InterfaceAddress[]> {
  const result = await run('ip', ['-j', 'addr', 'show']);
  if (result.outcome === 'missing')
    throw new CodedError('CONFIG', `ip addr show: ${result.stderr}. Install iproute2.`);
  if (!result.ok) throw new CodedError('FAILED', `ip addr show: ${result.stderr || `exit ${result.code}`}`);
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

/** What a method may look at beside the interfaces. */
export interface Surroundings {
  readonly addresses: readonly InterfaceAddress[];
  /** InternalIPs of the Node object. */
  readonly internalIps: readonly string[];
  /** Address that packets to a destination leave with; undefined when there is no way. */
  readonly sourceTowards: (destination: string, family: Family) => Promise<string | undefined>;
}

export interface AddressSetting {
  /** IP or IP6: `autodetect`, `none`, an address or a CIDR. */
  readonly value: string | undefined;
  /** IP_AUTODETECTION_METHOD or IP6_AUTODETECTION_METHOD. */
  readonly method: string;
}

/**
 * The node's address as CIDR; undefined for none. `present` is what the Node already says. Throws CodedError CONFIG
 * with a sentence.
 */
export async function chooseAddress(
  family: Family,
  { value, method }: AddressSetting,
  present: string | undefined,
  surroundings: Surroundings,
): Promise<string | undefined> {
  const name = family === 4 ? 'IP' : 'IP6';
  if (value === 'none') return undefined;
  if (value === undefined && present !== undefined) return present;
  const ofFamily = surroundings.addresses.filter(({ cidr }) => parseCidr(cidr)?.family === family);
  if (value === undefined || value === 'autodetect')
    return autodetect(family, method, { ...surroundings, addresses: ofFamily });
  const given = parseCidr(value);
  if (given?.family !== family) {
    throw new CodedError(
      'CONFIG',
      `${name}=${value}: must be "autodetect", "none", or an IPv${family} address with or without prefix length`,
    );
  }
  if (value.includes('/')) return formatCidr(given);
  // Without a prefix length: that of the interface which has the address (Calico 7.5).
  return cidrOf(value, ofFamily) ?? formatCidr(given);
}

/** By one of Calico's methods; of interfaces that are up, and never a link-local address. */
async function autodetect(
  family: Family,
  method: string,
  { addresses, internalIps, sourceTowards }: Surroundings,
): Promise<string | undefined> {
  const usable = addresses.filter(({ isUp, scope, device }) => isUp && scope === 'global' && device !== 'lo');
  const ordinary = usable.filter(({ device }) => !excluded.test(device));
  const [kind, argument = ''] = splitOnce(method, '=');
  switch (kind) {
    case 'first-found':
      return ordinary[0]?.cidr;
    case 'kubernetes-internal-ip': {
      const ip = internalIps.find((one) => parseCidr(one)?.family === family);
      return ip && (cidrOf(ip, usable) ?? formatCidr(parseCidr(ip)!));
    }
    case 'interface':
      for (const pattern of patterns(method, argument)) {
        const found = usable.find(({ device }) => pattern.test(device));
        if (found) return found.cidr;
      }
      return undefined;
    case 'skip-interface': {
      const skipped = patterns(method, argument);
      return ordinary.find(({ device }) => !skipped.some((pattern) => pattern.test(device)))?.cidr;
    }
    case 'can-reach': {
      const source = await sourceTowards(argument, family);
      return source && (cidrOf(source, usable) ?? formatCidr(parseCidr(source)!));
    }
    case 'cidr': {
      const ranges = argument.split(',').map((text) => parseCidr(text.trim()));
      if (ranges.some((range) => range === undefined))
        throw new CodedError('CONFIG', `autodetection method ${method}: ${argument} is no list of networks`);
      return usable.find(({ cidr }) => ranges.some((range) => contains(range!, parseCidr(cidr)!)))?.cidr;
    }
    default:
      throw new CodedError(
        'CONFIG',
        `autodetection method ${method}: must be first-found, kubernetes-internal-ip, interface=NAMES, skip-interface=NAMES, can-reach=DESTINATION or cidr=NETWORKS`,
      );
  }
}

/** Regular expressions with commas between them. */
function patterns(method: string, list: string): RegExp[] {
  return list.split(',').map((text) => {
    try {
      return new RegExp(`^(?:${text.trim()})$`);
    } catch {
      throw new CodedError('CONFIG', `autodetection method ${method}: ${text} is no regular expression`);
    }
  });
}

/** An address with the prefix length that it has on its interface. */
function cidrOf(address: string, addresses: readonly InterfaceAddress[]): string | undefined {
  return addresses.find(({ cidr }) => cidr.split('/')[0] === address)?.cidr;
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * Source address of packets to a destination, by the kernel's routing; a name is looked up first. Throws CodedError
 * FAILED when ip did not answer.
 */
export async function sourceTowards(destination: string, family: Family): Promise<string | undefined> {
  const resolved = await lookup(destination, { family }).catch(() => undefined);
  if (!resolved) return undefined;
  const { outcome, ok, stdout, stderr } = await run('ip', ['-j', 'route', 'get', resolved.address]);
  // That ip did not answer does not mean that there is no route.
  if (outcome !== 'exited') throw new CodedError('FAILED', `ip route get ${resolved.address}: ${stderr}`);
  if (!ok) return undefined;
  return (JSON.parse(stdout) as { prefsrc?: string }[])[0]?.prefsrc;
}
