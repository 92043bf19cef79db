/**
 * BFD control packets (RFC 5880 section 4.1), without authentication.
 *
 *   +- version 3, diagnostic 5 -+- state 2, P F C A D M -+- multiplier -+- length -+
 *   +- my discriminator (32) -+- your discriminator (32) -+
 *   +- desired min TX (32) -+- required min RX (32) -+- required min echo RX (32) -+   microseconds
 */

export const BfdState = { ADMIN_DOWN: 0, DOWN: 1, INIT: 2, UP: 3 } as const;

/** RFC 5880 section 4.1. */
export const BfdDiagnostic = { NONE: 0, TIME_EXPIRED: 1, NEIGHBOR_DOWN: 3, ADMIN_DOWN: 7 } as const;

export interface BfdPacket {
  readonly diagnostic: number;
  readonly state: number;
  readonly isPoll: boolean;
  readonly isFinal: boolean;
  readonly multiplier: number;
  readonly myDiscriminator: number;
  readonly yourDiscriminator: number;
  readonly desiredMinTxUs: number;
  readonly requiredMinRxUs: number;
}

const LENGTH = 24;
const VERSION = 1;

export function encodeBfd(packet: BfdPacket): Uint8Array {
  const bytes = new Uint8Array(LENGTH);
  const view = new DataView(bytes.buffer);
  bytes[0] = (VERSION << 5) | packet.diagnostic;
  bytes[1] = (packet.state << 6) | (packet.isPoll ? 0x20 : 0) | (packet.isFinal ? 0x10 : 0);
  bytes[2] = packet.multiplier;
  bytes[3] = LENGTH;
  view.setUint32(4, packet.myDiscriminator);
  view.setUint32(8, packet.yourDiscriminator);
  view.setUint32(12, packet.desiredMinTxUs);
  view.setUint32(16, packet.requiredMinRxUs);
  return bytes;
}

/** Decodes a packet; undefined for one that section 6.8.6 discards. */
export function decodeBfd(bytes: Uint8Array): BfdPacket | undefined {
  if (bytes.length < LENGTH || bytes[0]! >> 5 !== VERSION) return undefined;
  const flags = bytes[1]!;
  const hasAuthentication = (flags & 0x04) !== 0;
  const isMultipoint = (flags & 0x01) !== 0;
  const length = bytes[3]!;
  if (length < LENGTH || length > bytes.length || hasAuthentication || isMultipoint) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const packet = {
    diagnostic: bytes[0]! & 0x1f,
    state: flags >> 6,
    isPoll: (flags & 0x20) !== 0,
    isFinal: (flags & 0x10) !== 0,
    multiplier: bytes[2]!,
    myDiscriminator: view.getUint32(4),
    yourDiscriminator: view.getUint32(8),
    desiredMinTxUs: view.getUint32(12),
    requiredMinRxUs: view.getUint32(16),
  };
  const isForNobody = packet.yourDiscriminator === 0 && packet.state > BfdState.DOWN;
  return packet.multiplier === 0 || packet.myDiscriminator === 0 || isForNobody ? undefined : packet;
}
