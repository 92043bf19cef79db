/** Values of network address translation, from their texts in FelixConfiguration (Calico 1.10). */
import { formatAddress, parseAddress } from './cidr.ts';
import { whyNoHost } from './host-address.ts';

/** TCP and UDP ports, both ends included. */
export interface PortRange {
  readonly low: number;
  readonly high: number;
}

/** Parses `low:high`, `low-high` or one port; undefined unless 1 ≤ low ≤ high ≤ 65535. */
export function parsePortRange(text: string): PortRange | undefined {
  const match = /^(\d{1,5})(?:[:-](\d{1,5}))?$/.exec(text);
  if (!match) return undefined;
  const low = Number(match[1]);
  const high = Number(match[2] ?? match[1]);
  return low >= 1 && low <= high && high <= 65535 ? { low, high } : undefined;
}

/** Parses an IPv4 address that packets may come from, to its canonical text. */
export function parseNatAddress(text: string): string | undefined {
  const address = parseAddress(text);
  if (address?.family !== 4 || whyNoHost(address)) return undefined;
  return formatAddress(address);
}

/** One interface name, or a prefix of interface names. */
export interface InterfacePattern {
  readonly name: string;
  readonly isPrefix: boolean;
}

/** Parses an interface name of at most 15 characters. A trailing `+` matches any suffix. */
export function parseInterfacePattern(text: string): InterfacePattern | undefined {
  const match = /^([\w.-]{0,15})(\+?)$/.exec(text);
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  return { name: match[1]!, isPrefix: match[2] === '+' };
}
