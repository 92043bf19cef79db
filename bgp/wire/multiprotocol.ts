/** Heads of MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 sections 3 and 4), and errors in them. */
import type { Family } from '../../lib/cidr.ts';
import { ErrorCode, SAFI_UNICAST, UpdateSubcode } from './iana.ts';
import { familyOfAfi, type Nlri } from './nlri.ts';
import { WireError } from './wire-error.ts';

export interface Reach {
  readonly family: Family;
  /** The global next hop. */
  readonly nextHop: string;
  /** The link-local next hop after the global one (RFC 2545). */
  readonly linkLocal?: string | undefined;
  readonly routes: readonly Nlri[];
}

export interface Unreach {
  readonly family: Family;
  readonly routes: readonly Nlri[];
}

export interface ReachHead {
  readonly family: Family;
  /** Value of the next hop: 4, 16 or 32 octets. */
  readonly nextHop: Uint8Array;
  /** Offset of the prefixes in the attribute's value. */
  readonly nlriAt: number;
}

/**
 * +- AFI (16) -+- SAFI (8) -+- length (8) -+- next hop -+- reserved (8) -+- NLRI -+
 *
 * Undefined for an unsupported family. Throws WireError to reset the session when it cannot be parsed.
 */
export function readReachHead(value: Uint8Array, hasExtendedNextHop: boolean): ReachHead | undefined {
  if (value.length < 5) throw broken('MP_REACH_NLRI', `${value.length} octets`);
  const family = familyOfAfi((value[0]! << 8) | value[1]!);
  if (!family || value[2] !== SAFI_UNICAST) return undefined;
  const length = value[3]!;
  if (value.length < 5 + length) throw broken('MP_REACH_NLRI', 'the next hop is cut short');
  const isGood =
    (family === 4 && length === 4) ||
    ((family === 6 || hasExtendedNextHop) && (length === 16 || length === 32));
  if (!isGood) throw broken('MP_REACH_NLRI', `next hop of ${length} octets for IPv${family}`);
  return { family, nextHop: nextHopIn(value.subarray(4, 4 + length)), nlriAt: 5 + length };
}

/** Whether the value of an MP_REACH_NLRI has octets after its head, in any family. */
export function hasReachableNlri(value: Uint8Array): boolean {
  return value.length > REACH_HEAD && value.length > REACH_HEAD + value[3]!;
}

/**
 * RFC 2545 section 3: returns a global next hop, or a global and a link-local one. On a session between link-local
 * addresses there is no global one: BIRD sends zeros there, others repeat the link-local address.
 */
function nextHopIn(value: Uint8Array): Uint8Array {
  if (value.length < 32) return value;
  const first = value.subarray(0, 16);
  const second = value.subarray(16);
  if (!isLinkLocal(second)) return first;
  return isLinkLocal(first) || first.every((octet) => octet === 0) ? second : value;
}

/** Whether the octets are an IPv6 address in fe80::/10, which is valid only on its link. */
function isLinkLocal(address: Uint8Array): boolean {
  return address.length === 16 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}

/** +- AFI (16) -+- SAFI (8) -+- withdrawn NLRI -+   Undefined for an unsupported family. */
export function readUnreachFamily(value: Uint8Array): Family | undefined {
  if (value.length < 3) throw broken('MP_UNREACH_NLRI', `${value.length} octets`);
  const family = familyOfAfi((value[0]! << 8) | value[1]!);
  return value[2] === SAFI_UNICAST ? family : undefined;
}

/** Octets of an MP_REACH_NLRI's head without the next hop. */
const REACH_HEAD = 5;

/** Offset of the prefixes in MP_UNREACH_NLRI. */
export const UNREACH_HEAD = 3;

export function broken(name: string, detail: string): WireError {
  return new WireError(ErrorCode.UPDATE_MESSAGE, UpdateSubcode.OPTIONAL_ATTRIBUTE, `${name}: ${detail}`);
}
