/** Capabilities in OPEN (RFC 5492). Unknown ones are kept as bytes. */
import type { Family } from '../../lib/cidr.ts';
import { Afi, CapabilityCode, SAFI_UNICAST } from './iana.ts';
import { afiOf, familyOfAfi } from './nlri.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

/** RFC 4724 section 3. */
export interface GracefulRestart {
  /** Whether the sender has restarted (R bit). */
  readonly isRestarting: boolean;
  /** Whether graceful restart also applies after NOTIFICATION (N bit, RFC 8538). */
  readonly hasNotification: boolean;
  /** Seconds, 12 bits. */
  readonly restartTimeSeconds: number;
  readonly families: readonly { readonly family: Family; readonly isForwardingKept: boolean }[];
}

/** RFC 9494 section 3. */
export interface LongLivedFamily {
  readonly family: Family;
  readonly isForwardingKept: boolean;
  /** Long-lived stale time, seconds, 24 bits. */
  readonly staleSeconds: number;
}

/** RFC 7911 section 4. */
export interface AddPathFamily {
  readonly family: Family;
  readonly canReceive: boolean;
  readonly canSend: boolean;
}

export interface Capabilities {
  /** Supported families (RFC 4760). */
  readonly families: readonly Family[];
  /** Unsupported families. A sender that lists no family at all supports IPv4 unicast only. */
  readonly otherFamilies: readonly { readonly afi: number; readonly safi: number }[];
  readonly hasRouteRefresh: boolean;
  readonly hasExtendedMessages: boolean;
  /** RFC 6793; undefined for a speaker without 4-octet AS numbers. */
  readonly fourOctetAs: number | undefined;
  readonly gracefulRestart: GracefulRestart | undefined;
  /** RFC 7313. */
  readonly hasEnhancedRefresh: boolean;
  readonly addPath: readonly AddPathFamily[];
  /** Whether the sender supports IPv4 routes with an IPv6 next hop (RFC 8950). */
  readonly hasExtendedNextHop: boolean;
  readonly longLived: readonly LongLivedFamily[];
  /** RFC 9234: the distinct values of BgpRole, in order. More than one is an error of the sender (section 4.2). */
  readonly roles: readonly number[];
  readonly unknown: readonly { readonly code: number; readonly value: Uint8Array }[];
}

export const noCapabilities: Capabilities = {
  families: [],
  otherFamilies: [],
  hasRouteRefresh: false,
  hasExtendedMessages: false,
  fourOctetAs: undefined,
  gracefulRestart: undefined,
  hasEnhancedRefresh: false,
  addPath: [],
  hasExtendedNextHop: false,
  longLived: [],
  roles: [],
  unknown: [],
};

/** Encodes capabilities as TLVs in ascending order of codes, like BIRD and FRR. */
export function encodeCapabilities(capabilities: Capabilities): Uint8Array {
  const writer = new Writer();
  const put = (code: number, value: Uint8Array) => writer.u8(code).u8(value.length).bytes(value);
  for (const family of capabilities.families) {
    put(CapabilityCode.MULTIPROTOCOL, new Writer().u16(afiOf(family)).u8(0).u8(SAFI_UNICAST).finish());
  }
  for (const { afi, safi } of capabilities.otherFamilies)
    put(CapabilityCode.MULTIPROTOCOL, new Writer().u16(afi).u8(0).u8(safi).finish());
  if (capabilities.hasRouteRefresh) put(CapabilityCode.ROUTE_REFRESH, new Uint8Array());
  if (capabilities.hasExtendedNextHop) {
    put(
      CapabilityCode.EXTENDED_NEXT_HOP,
      new Writer().u16(Afi.IPV4).u16(SAFI_UNICAST).u16(Afi.IPV6).finish(),
    );
  }
  if (capabilities.hasExtendedMessages) put(CapabilityCode.EXTENDED_MESSAGE, new Uint8Array());
  for (const role of capabilities.roles) put(CapabilityCode.BGP_ROLE, Uint8Array.of(role));
  if (capabilities.gracefulRestart)
    put(CapabilityCode.GRACEFUL_RESTART, encodeRestart(capabilities.gracefulRestart));
  if (capabilities.fourOctetAs !== undefined) {
    put(CapabilityCode.FOUR_OCTET_AS, new Writer().u32(capabilities.fourOctetAs).finish());
  }
  if (capabilities.addPath.length > 0) put(CapabilityCode.ADD_PATH, encodeAddPath(capabilities.addPath));
  if (capabilities.hasEnhancedRefresh) put(CapabilityCode.ENHANCED_ROUTE_REFRESH, new Uint8Array());
  if (capabilities.longLived.length > 0)
    put(CapabilityCode.LONG_LIVED_GRACEFUL_RESTART, encodeLongLived(capabilities.longLived));
  for (const { code, value } of capabilities.unknown) put(code, value);
  return writer.finish();
}

/**
 * Reads TLVs to the end and adds them to those of earlier parameters. A known capability with a wrong length is kept as
 * unknown (RFC 5492 section 3).
 */
export function decodeCapabilities(reader: Reader, before: Capabilities = noCapabilities): Capabilities {
  let result = before;
  while (reader.left > 0) {
    const code = reader.u8();
    const value = reader.bytes(reader.u8());
    result = decodeOne(result, code, value);
  }
  return result;
}

function decodeOne(before: Capabilities, code: number, value: Uint8Array): Capabilities {
  const reader = new Reader(value);
  switch (code) {
    case CapabilityCode.MULTIPROTOCOL: {
      if (value.length !== 4) break;
      const afi = reader.u16();
      reader.u8();
      const safi = reader.u8();
      const family = safi === SAFI_UNICAST ? familyOfAfi(afi) : undefined;
      if (!family) return { ...before, otherFamilies: [...before.otherFamilies, { afi, safi }] };
      return before.families.includes(family)
        ? before
        : { ...before, families: [...before.families, family] };
    }
    case CapabilityCode.ROUTE_REFRESH:
      if (value.length !== 0) break;
      return { ...before, hasRouteRefresh: true };
    case CapabilityCode.EXTENDED_MESSAGE:
      if (value.length !== 0) break;
      return { ...before, hasExtendedMessages: true };
    case CapabilityCode.GRACEFUL_RESTART:
      if (value.length < 2 || (value.length - 2) % 4 !== 0) break;
      return { ...before, gracefulRestart: decodeRestart(reader) };
    case CapabilityCode.FOUR_OCTET_AS:
      if (value.length !== 4) break;
      return { ...before, fourOctetAs: reader.u32() };
    case CapabilityCode.ENHANCED_ROUTE_REFRESH:
      if (value.length !== 0) break;
      return { ...before, hasEnhancedRefresh: true };
    case CapabilityCode.EXTENDED_NEXT_HOP:
      if (value.length % 6 !== 0) break;
      return { ...before, hasExtendedNextHop: before.hasExtendedNextHop || decodeNextHops(reader) };
    case CapabilityCode.BGP_ROLE:
      if (value.length !== 1) break;
      return before.roles.includes(value[0]!) ? before : { ...before, roles: [...before.roles, value[0]!] };
    case CapabilityCode.ADD_PATH:
      if (value.length % 4 !== 0) break;
      return { ...before, addPath: decodeAddPath(reader) };
    case CapabilityCode.LONG_LIVED_GRACEFUL_RESTART:
      if (value.length % 7 !== 0) break;
      return { ...before, longLived: decodeLongLived(reader) };
    default:
      break;
  }
  return { ...before, unknown: [...before.unknown, { code, value: value.slice() }] };
}

/**
 *   +- R -+- N -+- reserved (2) -+- restart time (12) -+
 *   +- AFI (16) -+- SAFI (8) -+- F, reserved (8) -+  per family
 */
function encodeRestart(restart: GracefulRestart): Uint8Array {
  const flags = (restart.isRestarting ? 0x8000 : 0) | (restart.hasNotification ? 0x4000 : 0);
  const writer = new Writer().u16(flags | Math.min(Math.trunc(restart.restartTimeSeconds), 0xfff));
  for (const { family, isForwardingKept } of restart.families) {
    writer
      .u16(afiOf(family))
      .u8(SAFI_UNICAST)
      .u8(isForwardingKept ? 0x80 : 0);
  }
  return writer.finish();
}

function decodeRestart(reader: Reader): GracefulRestart {
  const head = reader.u16();
  const families: { family: Family; isForwardingKept: boolean }[] = [];
  while (reader.left > 0) {
    const family = familyOfAfi(reader.u16());
    const safi = reader.u8();
    const isForwardingKept = (reader.u8() & 0x80) !== 0;
    if (family && safi === SAFI_UNICAST) families.push({ family, isForwardingKept });
  }
  return {
    isRestarting: (head & 0x8000) !== 0,
    hasNotification: (head & 0x4000) !== 0,
    restartTimeSeconds: head & 0xfff,
    families,
  };
}

/** +- AFI (16) -+- SAFI (8) -+- 1 receive, 2 send, 3 both (8) -+  per family (RFC 7911 section 4) */
function encodeAddPath(families: readonly AddPathFamily[]): Uint8Array {
  const writer = new Writer();
  for (const { family, canReceive, canSend } of families) {
    writer
      .u16(afiOf(family))
      .u8(SAFI_UNICAST)
      .u8(Number(canReceive) + 2 * Number(canSend));
  }
  return writer.finish();
}

function decodeAddPath(reader: Reader): AddPathFamily[] {
  const families: AddPathFamily[] = [];
  while (reader.left > 0) {
    const family = familyOfAfi(reader.u16());
    const safi = reader.u8();
    const mode = reader.u8();
    // Ignore families with any other value (RFC 7911 section 4).
    if (!family || safi !== SAFI_UNICAST || mode < 1 || mode > 3) continue;
    families.push({ family, canReceive: (mode & 1) !== 0, canSend: (mode & 2) !== 0 });
  }
  return families;
}

/** +- AFI (16) -+- SAFI (8) -+- F, reserved (8) -+- stale time (24) -+  per family (RFC 9494 section 3) */
function encodeLongLived(families: readonly LongLivedFamily[]): Uint8Array {
  const writer = new Writer();
  for (const { family, isForwardingKept, staleSeconds } of families) {
    const bounded = Math.min(Math.trunc(staleSeconds), 0xffffff);
    writer.u16(afiOf(family)).u8(SAFI_UNICAST);
    writer
      .u8(isForwardingKept ? 0x80 : 0)
      .u8(bounded >>> 16)
      .u16(bounded & 0xffff);
  }
  return writer.finish();
}

function decodeLongLived(reader: Reader): LongLivedFamily[] {
  const families: LongLivedFamily[] = [];
  while (reader.left > 0) {
    const family = familyOfAfi(reader.u16());
    const safi = reader.u8();
    const isForwardingKept = (reader.u8() & 0x80) !== 0;
    const staleSeconds = reader.u8() * 0x10000 + reader.u16();
    if (family && safi === SAFI_UNICAST) families.push({ family, isForwardingKept, staleSeconds });
  }
  return families;
}

/** +- NLRI AFI (16) -+- NLRI SAFI (16) -+- next hop AFI (16) -+  (RFC 8950 section 4) */
function decodeNextHops(reader: Reader): boolean {
  let hasIpv4OverIpv6 = false;
  while (reader.left > 0) {
    const [afi, safi, nextHopAfi] = [reader.u16(), reader.u16(), reader.u16()];
    if (afi === Afi.IPV4 && safi === SAFI_UNICAST && nextHopAfi === Afi.IPV6) hasIpv4OverIpv6 = true;
  }
  return hasIpv4OverIpv6;
}
