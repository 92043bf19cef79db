/** Fields that several rtnetlink messages share. */
import { bitsOf, type Family, formatBytes } from '../../../lib/cidr.ts';
import type { Attributes } from '../attributes.ts';
import { AF, ARPHRD } from './constants.ts';

/** Returns the name of an interface by its index; undefined when unknown. */
export type DeviceName = (index: number) => string | undefined;

/** Returns the name of an interface; `if7`, as iproute2 does, when it is unknown. */
export function deviceName(index: number, nameOf: DeviceName): string {
  return nameOf(index) ?? `if${index}`;
}

export function familyOfNumber(number: number | undefined): Family | undefined {
  if (number === AF.INET) return 4;
  return number === AF.INET6 ? 6 : undefined;
}

/** Returns the canonical text of an address; undefined without the attribute or if it has another length. */
export function addressOf(attributes: Attributes, type: number, family: Family): string | undefined {
  return attributes.address(type, family === 4 ? 4 : 16);
}

/** Returns an address with its prefix length; undefined without the attribute, or if its length or the prefix's is wrong. */
export function prefixOf(
  attributes: Attributes,
  type: number,
  length: number,
  family: Family,
): string | undefined {
  const address = addressOf(attributes, type, family);
  return address === undefined || length > bitsOf(family) ? undefined : `${address}/${length}`;
}

/** Returns the canonical text of an address of either family. */
export function anyAddress(bytes: Uint8Array | undefined): string | undefined {
  return bytes?.length === 4 || bytes?.length === 16 ? formatBytes(bytes) : undefined;
}

/** Returns a link-layer address as `ip` prints it: an IP address for tunnels, otherwise hexadecimal with colons. */
export function linkAddress(bytes: Uint8Array, hardwareType: number): string {
  const isV4 = hardwareType === ARPHRD.TUNNEL || hardwareType === ARPHRD.SIT || hardwareType === ARPHRD.IPGRE;
  const isV6 = hardwareType === ARPHRD.TUNNEL6 || hardwareType === ARPHRD.IP6GRE;
  if ((bytes.length === 4 && isV4) || (bytes.length === 16 && isV6)) return formatBytes(bytes);
  let text = '';
  for (const byte of bytes) text += `${text && ':'}${byte < 16 ? '0' : ''}${byte.toString(16)}`;
  return text;
}
