/** Capabilities in OPEN (RFC 5492). Unknown ones are kept as bytes. */
import type { Family } from '../../lib/cidr.ts';
import { CapabilityCode, SAFI_UNICAST } from './iana.ts';
import { afiOf, familyOfAfi } from './nlri.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

/** RFC 4724 section 3. */
export interface GracefulRestart {
  /** The sender has restarted. */
  readonly isRestarting: boolean;
  /** RFC 8538: graceful restart after NOTIFICATION too. */
  readonly hasNotification: boolean;
  /** Seconds, 12 bits. */
  readonly restartTimeSeconds: number;
  readonly families: readonly { readonly family: Family; readonly isForwardingKept: boolean }[];
}

export interface Capabilities {
  /** Families of RFC 4760; an OPEN without any speaks IPv4 unicast alone. */
  readonly families: readonly Family[];
  readonly hasRouteRefresh: boolean;
  readonly hasExtendedMessages: boolean;
  /** RFC 6793; undefined when the speaker is a 2-octet one. */
  readonly fourOctetAs: number | undefined;
  readonly gracefulRestart: GracefulRestart | undefined;
  readonly unknown: readonly { readonly code: number; readonly value: Uint8Array }[];
}

export const noCapabilities: Capabilities = {
  families: [],
  hasRouteRefresh: false,
  hasExtendedMessages: false,
  fourOctetAs: undefined,
  gracefulRestart: undefined,
  unknown: [],
};

/** Capability TLVs in the order that BIRD and FRR use too: code ascending. */
export function encodeCapabilities(capabilities: Capabilities): Uint8Array {
  const writer = new Writer();
  const put = (code: number, value: Uint8Array) => writer.u8(code).u8(value.length).bytes(value);
  for (const family of capabilities.families) {
    put(CapabilityCode.MULTIPROTOCOL, new Writer().u16(afiOf(family)).u8(0).u8(SAFI_UNICAST).finish());
  }
  if (capabilities.hasRouteRefresh) put(CapabilityCode.ROUTE_REFRESH, new Uint8Array());
  if (capabilities.hasExtendedMessages) put(CapabilityCode.EXTENDED_MESSAGE, new Uint8Array());
  if (capabilities.gracefulRestart)
    put(CapabilityCode.GRACEFUL_RESTART, encodeRestart(capabilities.gracefulRestart));
  if (capabilities.fourOctetAs !== undefined) {
    put(CapabilityCode.FOUR_OCTET_AS, new Writer().u32(capabilities.fourOctetAs).finish());
  }
  for (const { code, value } of capabilities.unknown) put(code, value);
  return writer.finish();
}

/** Reads TLVs to the end. A known capability of a wrong length is kept as an unknown one (RFC 5492 section 3). */
export function decodeCapabilities(reader: Reader): Capabilities {
  let result: Capabilities = noCapabilities;
  while (reader.left > 0) {
    const code = reader.u8();
    const value = reader.bytes(reader.u8());
    result = decodeOne(result, code, value);
  }
  return result;
}

function decodeOne(known: Capabilities, code: number, value: Uint8Array): Capabilities {
  const reader = new Reader(value);
  switch (code) {
    case CapabilityCode.MULTIPROTOCOL: {
      if (value.length !== 4) break;
      const family = familyOfAfi(reader.u16());
      reader.u8();
      if (!family || reader.u8() !== SAFI_UNICAST) break;
      return known.families.includes(family) ? known : { ...known, families: [...known.families, family] };
    }
    case CapabilityCode.ROUTE_REFRESH:
      if (value.length !== 0) break;
      return { ...known, hasRouteRefresh: true };
    case CapabilityCode.EXTENDED_MESSAGE:
      if (value.length !== 0) break;
      return { ...known, hasExtendedMessages: true };
    case CapabilityCode.GRACEFUL_RESTART:
      if (value.length < 2 || (value.length - 2) % 4 !== 0) break;
      return { ...known, gracefulRestart: decodeRestart(reader) };
    case CapabilityCode.FOUR_OCTET_AS:
      if (value.length !== 4) break;
      return { ...known, fourOctetAs: reader.u32() };
    default:
      break;
  }
  return { ...known, unknown: [...known.unknown, { code, value: value.slice() }] };
}

/**
 *   +- R -+- N -+- reserved (2) -+- restart time (12) -+
 *   +- AFI (16) -+- SAFI (8) -+- F, reserved (8) -+  per family
 */
function encodeRestart(restart: GracefulRestart): Uint8Array {
  const flags = (restart.isRestarting ? 0x8000 : 0) | (restart.hasNotification ? 0x4000 : 0);
  const writer = new Writer().u16(flags | (restart.restartTimeSeconds & 0xfff));
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
