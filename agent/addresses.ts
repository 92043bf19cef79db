/** Which address a node is known by: given, kept, or found by one of Calico's methods (reference 7.4). */
import { lookup } from 'node:dns/promises';
import { type AddressFlags, addressState } from '../felix/dataplane/kernel.ts';
import { contains, type Family, formatAddress, formatCidr, parseCidr } from '../lib/cidr.ts';
import { CodedError } from '../lib/errors.ts';
import { run } from '../lib/exec.ts';

export interface InterfaceAddress {
  readonly device: string;
  readonly isUp: boolean;
  readonly mtu: number;
  /** With the prefix length of its subnet. */
  readonly cidr: string;
  readonly scope: string;
  /** Duplicate address detection runs or has failed: nothing is sent from it. */
  readonly isTentative?: boolean;
  /** A temporary address, or one past its preferred lifetime: taken when there is no other. */
  readonly isFleeting?: boolean;
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
    addr_info?: ({ local: string; prefixlen: number; scope: string } & AddressFlags)[];
  }[];
  return rows.flatMap(({ ifname = '', flags = [], mtu = 1500, addr_info = [] }) =>
    addr_info.map(({ local, prefixlen, scope, ...state }) => ({
      device: ifname,
      isUp: flags.includes('UP'),
      mtu,
      cidr: `${local}/${prefixlen}`,
      scope,
      ...addressState(state),
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
  /** Takes a sentence when the choice may not be what the operator expects. */
  readonly warn: (sentence: string) => void;
}

export interface AddressSetting {
  /** IP or IP6: `autodetect`, `none`, an address or a CIDR. */
  readonly value: string | undefined;
  /** IP_AUTODETECTION_METHOD or IP6_AUTODETECTION_METHOD; undefined: the Node's InternalIP, then first-found. */
  readonly method: string | undefined;
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
  method: string | undefined,
  { addresses, internalIps, sourceTowards, warn }: Surroundings,
): Promise<string | undefined> {
  const usable = addresses
    .filter(
      ({ isUp, scope, device, isTentative }) => isUp && scope === 'global' && device !== 'lo' && !isTentative,
    )
    .sort((a, b) => Number(a.isFleeting ?? false) - Number(b.isFleeting ?? false));
  const ordinary = usable.filter(({ device }) => !excluded.test(device));
  if (method === undefined) {
    const { address, warning } = byDefault(
      family,
      internalIps.find((ip) => parseCidr(ip)?.family === family),
      usable,
      ordinary[0],
    );
    if (warning) warn(warning);
    return address;
  }
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

/**
 * The default: the address that Kubernetes knows the node by, if an interface has it, else the first that is found. On a
 * machine with several networks they often differ, and Calico's default, first-found, depends on the order of interfaces.
 */
function byDefault(
  family: Family,
  internalIp: string | undefined,
  usable: readonly InterfaceAddress[],
  first: InterfaceAddress | undefined,
): { readonly address: string | undefined; readonly warning?: string } {
  const variable = family === 4 ? 'IP_AUTODETECTION_METHOD' : 'IP6_AUTODETECTION_METHOD';
  const firstText = first && `${first.cidr} on ${first.device}`;
  if (internalIp === undefined) return { address: first?.cidr };
  const own = usable.find(({ cidr }) => addressOf(cidr) === addressOf(internalIp));
  if (!own) {
    if (!first) return { address: undefined };
    return {
      address: first.cidr,
      warning: `the Node's InternalIP ${internalIp} is on no interface that is up: ${firstText} is used. Set ${variable} to choose another address.`,
    };
  }
  if (!first || addressOf(first.cidr) === addressOf(internalIp)) return { address: own.cidr };
  return {
    address: own.cidr,
    warning: `the Node's InternalIP ${own.cidr} on ${own.device} is used, and first-found would choose ${firstText}. Set ${variable} to confirm one of them.`,
  };
}

/** Canonical text of an address without its prefix length. */
function addressOf(text: string): string | undefined {
  const parsed = parseCidr(text);
  return parsed && formatAddress(parsed);
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
  return addresses.find(({ cidr }) => addressOf(cidr) === addressOf(address))?.cidr;
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
