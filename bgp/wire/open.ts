/**
 * OPEN (RFC 4271 section 4.2).
 *
 *   +- version (8) -+- my AS (16) -+- hold time (16) -+- identifier (32) -+- opt. length (8) -+- parameters -+
 *
 * The extended form of RFC 9072 inserts a parameter type of 255 and a 16-bit length before the parameters. The opt.
 * length is then sent as 255 and ignored on receipt.
 */
import { addressBytes, formatBytes, parseAddress } from '../../lib/cidr.ts';
import { type Capabilities, decodeCapabilities, encodeCapabilities, noCapabilities } from './capabilities.ts';
import { AS_TRANS, ErrorCode, OpenSubcode } from './iana.ts';
import { Reader, ShortRead } from './reader.ts';
import { WireError } from './wire-error.ts';
import { Writer } from './writer.ts';

export interface OpenMessage {
  readonly type: 'open';
  /** From the 4-octet AS capability (RFC 6793) if there is one, else from the 2-octet field. */
  readonly asNumber: number;
  readonly holdTimeSeconds: number;
  /** Dotted quad. */
  readonly identifier: string;
  readonly capabilities: Capabilities;
}

const CAPABILITIES_PARAMETER = 2;
const EXTENDED_LENGTH = 255;

export function encodeOpen(open: OpenMessage): Uint8Array {
  const writer = new Writer()
    .u8(4)
    .u16(open.asNumber > 0xffff ? AS_TRANS : open.asNumber)
    .u16(open.holdTimeSeconds);
  writer.bytes(addressBytes(parseAddress(open.identifier)!));
  const capabilities = encodeCapabilities(open.capabilities);
  if (capabilities.length === 0) return writer.u8(0).finish();
  if (capabilities.length <= 253) {
    return writer
      .u8(capabilities.length + 2)
      .u8(CAPABILITIES_PARAMETER)
      .u8(capabilities.length)
      .bytes(capabilities)
      .finish();
  }
  // The extended form (RFC 9072).
  writer
    .u8(EXTENDED_LENGTH)
    .u8(EXTENDED_LENGTH)
    .u16(capabilities.length + 3);
  return writer.u8(CAPABILITIES_PARAMETER).u16(capabilities.length).bytes(capabilities).finish();
}

/** Decodes the body of an OPEN. Throws WireError with the NOTIFICATION of RFC 4271 section 6.2. */
export function decodeOpen(body: Uint8Array): OpenMessage {
  try {
    return decode(new Reader(body));
  } catch (error) {
    // RFC 4271 section 6.2 defines no subcode for a truncated parameter. 0 is unspecific.
    if (error instanceof ShortRead)
      throw new WireError(ErrorCode.OPEN_MESSAGE, 0, `OPEN is cut short: ${error.message}`);
    throw error;
  }
}

function decode(reader: Reader): OpenMessage {
  const version = reader.u8();
  if (version !== 4) {
    throw new WireError(
      ErrorCode.OPEN_MESSAGE,
      OpenSubcode.UNSUPPORTED_VERSION,
      `BGP version ${version}`,
      Uint8Array.of(0, 4),
    );
  }
  const shortAs = reader.u16();
  const holdTimeSeconds = reader.u16();
  const identifier = formatBytes(reader.bytes(4));
  const capabilities = decodeParameters(reader);
  const asNumber = capabilities.fourOctetAs ?? shortAs;
  if (asNumber === 0) {
    throw new WireError(ErrorCode.OPEN_MESSAGE, OpenSubcode.BAD_PEER_AS, 'AS number 0 (RFC 7607)');
  }
  if (asNumber === AS_TRANS) {
    throw new WireError(
      ErrorCode.OPEN_MESSAGE,
      OpenSubcode.BAD_PEER_AS,
      `AS ${AS_TRANS} is AS_TRANS and belongs to no speaker (RFC 6793 section 9)`,
    );
  }
  if (holdTimeSeconds === 1 || holdTimeSeconds === 2) {
    throw new WireError(
      ErrorCode.OPEN_MESSAGE,
      OpenSubcode.UNACCEPTABLE_HOLD_TIME,
      `hold time of ${holdTimeSeconds} s`,
    );
  }
  if (identifier === '0.0.0.0') {
    throw new WireError(ErrorCode.OPEN_MESSAGE, OpenSubcode.BAD_BGP_IDENTIFIER, 'BGP identifier 0.0.0.0');
  }
  return { type: 'open', asNumber, holdTimeSeconds, identifier, capabilities };
}

/** Decodes the optional parameters. Throws WireError, unspecific, if more octets follow (RFC 4271 section 6.2). */
function decodeParameters(reader: Reader): Capabilities {
  const length = reader.u8();
  const bytes = reader.rest();
  // RFC 9072 section 2: a first type of 255 means the extended form, unless the length is 0.
  const isExtended = length > 0 && bytes[0] === EXTENDED_LENGTH;
  const parameters = new Reader(isExtended ? bytes.subarray(1) : bytes);
  const list = parameters.sub(isExtended ? parameters.u16() : length);
  if (parameters.left > 0)
    throw new WireError(
      ErrorCode.OPEN_MESSAGE,
      0,
      `OPEN has ${parameters.left} octets after its optional parameters`,
    );
  return decodeList(list, isExtended);
}

function decodeList(reader: Reader, isExtended: boolean): Capabilities {
  let capabilities = noCapabilities;
  while (reader.left > 0) {
    const type = reader.u8();
    const value = reader.sub(isExtended ? reader.u16() : reader.u8());
    if (type !== CAPABILITIES_PARAMETER) {
      throw new WireError(
        ErrorCode.OPEN_MESSAGE,
        OpenSubcode.UNSUPPORTED_PARAMETER,
        `optional parameter ${type}`,
      );
    }
    capabilities = decodeCapabilities(value, capabilities);
  }
  return capabilities;
}
