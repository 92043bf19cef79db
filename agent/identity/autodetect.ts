/** Selects the address of a node: configured, kept, or found by one of Calico's methods (reference 7.4). */
import { lookup } from 'node:dns/promises';
import type { Kernel, LinkAddress } from '../../kernel/port.ts';
import { contains, type Family, formatAddress, formatCidr, parseCidr } from '../../lib/cidr.ts';
import { CodedError } from '../../lib/errors.ts';
import { parseMethod } from '../inputs/autodetection-method.ts';

/** Interfaces whose addresses are never the node's. */
const excluded =
  /^(docker|cbr|dummy|podman|virbr|lxcbr|veth|lo$|br-|cali|tunl|flannel|kube-ipvs|cni|vxlan|wireguard|wg-|nodelocaldns)/;

/** Inputs of the methods. */
export interface Surroundings {
  readonly addresses: readonly LinkAddress[];
  /** InternalIPs of the Node object. */
  readonly internalIps: readonly string[];
  /** Returns the source address of packets to a destination; undefined without a route. */
  readonly sourceTowards: (destination: string, family: Family) => Promise<string | undefined>;
  /** Called with a sentence when the operator may not expect the selected address. */
  readonly warn: (sentence: string) => void;
}

export interface AddressSetting {
  /** IP or IP6: `autodetect`, `none`, an address or a CIDR. */
  readonly value: string | undefined;
  /** IP_AUTODETECTION_METHOD or IP6_AUTODETECTION_METHOD; undefined: the Node's InternalIP, then first-found. */
  readonly method: string | undefined;
}

/**
 * Returns the node's address as CIDR, or undefined. `present` is the Node's current address. Throws CodedError CONFIG
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
  // Without a prefix length, use that of the interface with the address (Calico 7.5).
  return cidrOf(value, ofFamily) ?? formatCidr(given);
}

/** Selects an address by one of Calico's methods, from interfaces that are up. Never link-local. */
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
  const parsed = parseMethod(method);
  if (typeof parsed === 'string') throw new CodedError('CONFIG', `autodetection method ${method}: ${parsed}`);
  switch (parsed.kind) {
    case 'first-found':
      return ordinary[0]?.cidr;
    case 'kubernetes-internal-ip': {
      const ip = internalIps.find((one) => parseCidr(one)?.family === family);
      return ip && (cidrOf(ip, usable) ?? formatCidr(parseCidr(ip)!));
    }
    case 'interface':
      for (const pattern of parsed.patterns) {
        const found = usable.find(({ device }) => pattern.test(device));
        if (found) return found.cidr;
      }
      return undefined;
    case 'skip-interface':
      return ordinary.find(({ device }) => !parsed.patterns.some((pattern) => pattern.test(device)))?.cidr;
    case 'can-reach': {
      const source = await sourceTowards(parsed.destination, family);
      return source && (cidrOf(source, usable) ?? formatCidr(parseCidr(source)!));
    }
    case 'cidr':
      return usable.find(({ cidr }) => parsed.networks.some((range) => contains(range, parseCidr(cidr)!)))
        ?.cidr;
    default:
      return parsed satisfies never;
  }
}

/**
 * The default method: the Node's InternalIP if an interface has it, else first-found. On a machine with several
 * networks they often differ, and Calico's default, first-found, depends on the order of interfaces.
 */
function byDefault(
  family: Family,
  internalIp: string | undefined,
  usable: readonly LinkAddress[],
  first: LinkAddress | undefined,
): { readonly address: string | undefined; readonly warning?: string } {
  const variable = family === 4 ? 'IP_AUTODETECTION_METHOD' : 'IP6_AUTODETECTION_METHOD';
  const firstText = first && `${first.cidr} on ${first.device}`;
  if (internalIp === undefined) return { address: first?.cidr };
  const own = usable.find(({ cidr }) => addressOf(cidr) === addressOf(internalIp));
  if (!own) {
    if (!first) return { address: undefined };
    return {
      address: first.cidr,
      warning: `the Node's InternalIP ${internalIp} is on no interface that is up, so the agent uses ${firstText}. Set ${variable} to choose another address.`,
    };
  }
  if (!first || addressOf(first.cidr) === addressOf(internalIp)) return { address: own.cidr };
  return {
    address: own.cidr,
    warning: `the agent uses the Node's InternalIP ${own.cidr} on ${own.device}; first-found would choose ${firstText}. Set ${variable} to confirm one of them.`,
  };
}

/** Returns the canonical text of an address, without its prefix length. */
function addressOf(text: string): string | undefined {
  const parsed = parseCidr(text);
  return parsed && formatAddress(parsed);
}

/** Returns an address with its prefix length on its interface. */
function cidrOf(address: string, addresses: readonly LinkAddress[]): string | undefined {
  return addresses.find(({ cidr }) => addressOf(cidr) === addressOf(address))?.cidr;
}

/**
 * Finds the source address of packets to a destination by the kernel's routes; resolves a name first. The function
 * throws CodedError FAILED when the kernel did not answer.
 */
export function sourceFinder(kernel: Pick<Kernel, 'sourceOfPacketsTo'>): Surroundings['sourceTowards'] {
  return async (destination, family) => {
    const resolved = await lookup(destination, { family }).catch(() => undefined);
    return resolved && kernel.sourceOfPacketsTo(resolved.address);
  };
}
