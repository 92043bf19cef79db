/**
 * UPDATE (RFC 4271 section 4.3), revised by RFC 7606.
 *
 *   +- withdrawn length (16) -+- withdrawn -+- attributes length (16) -+- attributes -+- NLRI -+
 */
import {
  type AttributeContext,
  decodeAttributes,
  type Fault,
  type PathAttributes,
  type Reach,
  type Unreach,
} from './attributes.ts';
import { encodeAttributes, encodeReach, encodeUnreach } from './encode-attributes.ts';
import { ErrorCode, UpdateSubcode } from './iana.ts';
import { decodePrefixes, encodePrefix, type Prefix } from './nlri.ts';
import { Reader, ShortRead } from './reader.ts';
import { WireError } from './wire-error.ts';
import { Writer } from './writer.ts';

export interface UpdateMessage {
  readonly type: 'update';
  /** IPv4 prefixes of the classic fields. */
  readonly withdrawn: readonly Prefix[];
  readonly nlri: readonly Prefix[];
  readonly reach: Reach | undefined;
  readonly unreach: Unreach | undefined;
  /**
   * Attributes of the announced routes; the next hop is that of NEXT_HOP for `nlri` and stands in `reach`
   * for the others. Undefined when nothing is announced, or when RFC 7606 took the routes away.
   */
  readonly attributes: PathAttributes | undefined;
  /** What was wrong and forgiven. With a `withdraw` among them the announced prefixes count as withdrawn. */
  readonly faults: readonly Fault[];
}

/** Throws WireError where RFC 7606 still demands a session reset. */
export function decodeUpdate(body: Uint8Array, context: AttributeContext): UpdateMessage {
  const { withdrawn, attributeBytes, nlri } = split(body);
  const decoded = decodeAttributes(attributeBytes, context);
  const { reach, unreach } = decoded;
  const isAnnouncing = nlri.length > 0 || (reach?.prefixes.length ?? 0) > 0;
  const faults = [...decoded.faults];
  if (isAnnouncing) faults.push(...missing(decoded.attributes, nlri.length > 0, context));
  const isWithdrawn = faults.some(({ verdict }) => verdict === 'withdraw');
  return {
    type: 'update',
    withdrawn,
    nlri,
    reach,
    unreach,
    attributes:
      isAnnouncing && !isWithdrawn
        ? ({ nextHop: reach?.nextHop, ...decoded.attributes } as PathAttributes)
        : undefined,
    faults,
  };
}

/** RFC 7606 section 3(d): a missing mandatory attribute costs the routes. */
function missing(
  attributes: Partial<PathAttributes>,
  hasClassicNlri: boolean,
  context: AttributeContext,
): Fault[] {
  const names: string[] = [];
  if (attributes.origin === undefined) names.push('ORIGIN');
  if (attributes.asPath === undefined) names.push('AS_PATH');
  if (hasClassicNlri && attributes.nextHop === undefined) names.push('NEXT_HOP');
  if (context.isIbgp && attributes.localPref === undefined) names.push('LOCAL_PREF');
  return names.map((name) => ({ verdict: 'withdraw', reason: `${name} is missing` }));
}

function split(body: Uint8Array) {
  try {
    const reader = new Reader(body);
    const withdrawnBytes = reader.sub(reader.u16());
    const attributeBytes = reader.sub(reader.u16());
    return { withdrawn: networks(withdrawnBytes), attributeBytes, nlri: networks(reader) };
  } catch (error) {
    if (!(error instanceof ShortRead)) throw error;
    throw new WireError(
      ErrorCode.UPDATE_MESSAGE,
      UpdateSubcode.MALFORMED_ATTRIBUTE_LIST,
      `UPDATE lengths: ${error.message}`,
    );
  }
}

function networks(reader: Reader): Prefix[] {
  try {
    return decodePrefixes(reader, 4);
  } catch (error) {
    if (!(error instanceof ShortRead || error instanceof RangeError)) throw error;
    throw new WireError(
      ErrorCode.UPDATE_MESSAGE,
      UpdateSubcode.INVALID_NETWORK_FIELD,
      `prefixes: ${error.message}`,
    );
  }
}

/** What an UPDATE is made of; faults are not sent. */
export type OutgoingUpdate = Omit<UpdateMessage, 'faults' | 'type'>;

export function encodeUpdate(update: OutgoingUpdate, context: AttributeContext): Uint8Array {
  const writer = new Writer();
  writer.u16(0);
  for (const prefix of update.withdrawn) encodePrefix(prefix, writer);
  writer.patchU16(0, writer.length - 2);
  const lengthAt = writer.length;
  writer.u16(0);
  // RFC 7606 section 5.1: the MP attributes come first.
  if (update.reach) encodeReach(update.reach, writer);
  if (update.unreach) encodeUnreach(update.unreach, writer);
  if (update.attributes) {
    encodeAttributes(update.attributes, writer, { ...context, hasNextHop: update.nlri.length > 0 });
  }
  writer.patchU16(lengthAt, writer.length - lengthAt - 2);
  for (const prefix of update.nlri) encodePrefix(prefix, writer);
  return writer.finish();
}

/** RFC 4724 section 2: the family whose initial update this message ends; undefined for any other UPDATE. */
export function endOfRibFamily(update: UpdateMessage): 4 | 6 | undefined {
  if (update.withdrawn.length > 0 || update.nlri.length > 0 || update.reach || update.faults.length > 0)
    return undefined;
  if (!update.unreach) return update.attributes === undefined ? 4 : undefined;
  return update.unreach.prefixes.length === 0 ? update.unreach.family : undefined;
}
