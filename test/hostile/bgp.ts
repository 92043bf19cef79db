/** BGP messages as octets (RFC 4271, 4760, 6793), built without the product's codec so that it is not its own judge. */
import { addressBytes, familyOf, parseAddress, parseCidr } from '../../lib/cidr.ts';

/** Instructions for test/hostile/speaker.mjs; messages are in hex. */
export interface Conversation {
  readonly host: string;
  readonly port: number;
  /** Sent as soon as the connection is up. */
  readonly open: string | undefined;
  /** Sent when the session is established. */
  readonly updates: readonly string[];
  readonly localAddress?: string | undefined;
  /** Listens on `host` and `port` instead of connecting. */
  readonly listen?: boolean;
  /** Sends everything at once, without waiting for an answer. */
  readonly isHasty?: boolean;
}

export interface OpenFields {
  readonly asNumber?: number;
  readonly identifier: string;
  readonly families?: readonly (4 | 6)[];
  /** An old speaker, without capability 65 (RFC 6793). */
  readonly isTwoOctet?: boolean;
  /** Capability 6 (RFC 8654). */
  readonly hasExtendedMessages?: boolean;
}

export function open(fields: OpenFields): string {
  const { asNumber = 64512, identifier, families = [4], isTwoOctet, hasExtendedMessages } = fields;
  const capabilities = [
    ...families.map((family) => `0104000${family === 4 ? 1 : 2}0001`),
    '0200',
    isTwoOctet ? '' : `4104${hex(asNumber, 4)}`,
    hasExtendedMessages ? '0600' : '',
  ].join('');
  const parameter = `02${hex(capabilities.length / 2, 1)}${capabilities}`;
  const shortAs = hex(asNumber > 65535 ? 23456 : asNumber, 2);
  return message(1, `04${shortAs}005a${bytes(identifier)}${hex(parameter.length / 2, 1)}${parameter}`);
}

export interface UpdateFields {
  /** Must be of the prefixes' family. The family of the first prefix decides the form of the UPDATE. */
  readonly nextHop: string;
  /** AS numbers of AS_PATH; empty on iBGP. */
  readonly asPath?: readonly number[];
}

/** One UPDATE with these prefixes; IPv6 prefixes are in MP_REACH_NLRI. */
export function announce(prefixes: readonly string[], { nextHop, asPath = [] }: UpdateFields): string {
  const nlri = prefixes.map(nlriOf).join('');
  const path =
    asPath.length > 0 ? `02${hex(asPath.length, 1)}${asPath.map((as) => hex(as, 4)).join('')}` : '';
  const shared = `40010100${attribute('40', 2, path)}`;
  const localPref = asPath.length > 0 ? '' : '40050400000064';
  if (familyOf(nextHop) === 4) return update('', `${shared}400304${bytes(nextHop)}${localPref}`, nlri);
  const reach = `00020110${bytes(nextHop)}00${nlri}`;
  return update('', `${attribute('80', 14, reach)}${shared}${localPref}`, '');
}

export function withdraw(prefixes: readonly string[]): string {
  return update(prefixes.map(nlriOf).join(''), '', '');
}

/** An UPDATE from raw parts: withdrawn routes, path attributes, NLRI. */
export function update(withdrawn: string, attributes: string, nlri: string): string {
  const parts = `${hex(withdrawn.length / 2, 2)}${withdrawn}${hex(attributes.length / 2, 2)}${attributes}`;
  return message(2, `${parts}${nlri}`);
}

/** A path attribute, with an extended length if it needs one. */
export function attribute(flags: string, type: number, value: string): string {
  const length = value.length / 2;
  if (length < 256) return `${flags}${hex(type, 1)}${hex(length, 1)}${value}`;
  return `${hex(Number.parseInt(flags, 16) | 0x10, 1)}${hex(type, 1)}${hex(length, 2)}${value}`;
}

/** Splits prefixes over UPDATEs of at most 4,096 octets. */
export function inMessages(prefixes: readonly string[], fields: UpdateFields): string[] {
  const EACH = 200;
  return Array.from({ length: Math.ceil(prefixes.length / EACH) }, (_, i) =>
    announce(prefixes.slice(i * EACH, (i + 1) * EACH), fields),
  );
}

function nlriOf(prefix: string): string {
  const { length } = parseCidr(prefix)!;
  return hex(length, 1) + bytes(prefix.split('/')[0]!).slice(0, Math.ceil(length / 8) * 2);
}

function message(type: number, body: string): string {
  return `${'ff'.repeat(16)}${hex(19 + body.length / 2, 2)}${hex(type, 1)}${body}`;
}

function bytes(address: string): string {
  return Buffer.from(addressBytes(parseAddress(address)!)).toString('hex');
}

function hex(value: number, octets: number): string {
  return value.toString(16).padStart(octets * 2, '0');
}
