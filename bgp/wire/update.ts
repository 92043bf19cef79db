/**
 * UPDATE (RFC 4271 section 4.3, RFC 7606) as values, for tools and tests. The speaker reads UPDATEs in
 * peer/receiver.ts and writes them in group/packer.ts, without these values.
 *
 *   +- withdrawn length (16) -+- withdrawn -+- attributes length (16) -+- attributes -+- NLRI -+
 */
import { type Family, formatBytes } from '../../lib/cidr.ts';
import {
  type AttributeContext,
  type DecodedAttributes,
  decodeAttributes,
  type Fault,
  type PathAttributes,
} from './attributes.ts';
import { encodeAttributes, encodeReach, encodeUnreach } from './encode-attributes.ts';
import { ErrorCode, MAX_ATTRIBUTES_LENGTH, UpdateSubcode } from './iana.ts';
import {
  broken,
  hasReachableNlri,
  type Reach,
  readReachHead,
  readUnreachFamily,
  UNREACH_HEAD,
  type Unreach,
} from './multiprotocol.ts';
import { decodeNlri, encodeNlri, type Nlri } from './nlri.ts';
import { Reader } from './reader.ts';
import { WireError } from './wire-error.ts';
import { Writer } from './writer.ts';

export interface UpdateMessage {
  readonly type: 'update';
  /** IPv4 prefixes of the classic fields. */
  readonly withdrawn: readonly Nlri[];
  readonly nlri: readonly Nlri[];
  readonly reach: Reach | undefined;
  readonly unreach: Unreach | undefined;
  /**
   * Attributes of the announced routes. NEXT_HOP applies to `nlri`; the other routes have the next hop of `reach`.
   * Undefined when no route is announced, or when RFC 7606 treats the routes as withdrawn.
   */
  readonly attributes: PathAttributes | undefined;
  /** Faults that did not reset the session. With a `withdraw` among them, the announced prefixes count as withdrawn. */
  readonly faults: readonly Fault[];
}

/** The negotiated values that change the encoding of an UPDATE. */
export interface UpdateContext extends AttributeContext {
  /** Families whose prefixes have a path identifier in this direction. */
  readonly addPath?: readonly Family[];
  readonly hasExtendedNextHop?: boolean;
}

/** Offsets of the parts of an UPDATE in its body. */
export interface UpdateLayout {
  readonly withdrawnEnd: number;
  readonly attributesAt: number;
  readonly attributesEnd: number;
}

/** Offset of the withdrawn prefixes in the body. */
export const WITHDRAWN_AT = 2;

/** Returns the layout of a body. Throws WireError when the lengths exceed the message, so no later part is reliable. */
export function layoutOf(body: Uint8Array): UpdateLayout {
  const withdrawnEnd = WITHDRAWN_AT + ((body[0]! << 8) | body[1]!);
  const attributesAt = withdrawnEnd + 2;
  const attributesEnd =
    attributesAt > body.length
      ? Number.POSITIVE_INFINITY
      : attributesAt + ((body[withdrawnEnd]! << 8) | body[withdrawnEnd + 1]!);
  if (attributesEnd > body.length) {
    throw new WireError(
      ErrorCode.UPDATE_MESSAGE,
      UpdateSubcode.MALFORMED_ATTRIBUTE_LIST,
      `UPDATE of ${body.length} octets is too short for its parts`,
    );
  }
  return { withdrawnEnd, attributesAt, attributesEnd };
}

/** Decodes the body of an UPDATE. Throws WireError for faults that reset the session even in RFC 7606. */
export function decodeUpdate(body: Uint8Array, context: UpdateContext): UpdateMessage {
  const { withdrawnEnd, attributesAt, attributesEnd } = layoutOf(body);
  const hasPathId = (family: Family) => context.addPath?.includes(family) ?? false;
  const withdrawn = classicRoutes(body.subarray(WITHDRAWN_AT, withdrawnEnd), hasPathId(4));
  const nlri = classicRoutes(body.subarray(attributesEnd), hasPathId(4));
  const decoded = decodeAttributes(new Reader(body.subarray(attributesAt, attributesEnd)), context);
  const reach = decoded.reach && decodeReach(decoded.reach, context.hasExtendedNextHop ?? false, hasPathId);
  const unreach = decoded.unreach && decodeUnreach(decoded.unreach, hasPathId);
  const isAnnouncing = nlri.length > 0 || (reach?.routes.length ?? 0) > 0;
  const faults = updateFaults(decoded, nlri.length > 0, context);
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

/**
 * Returns the faults in the attributes of an UPDATE. Throws WireError for a `withdraw` fault in an UPDATE that
 * announces no route, because the routes that it was meant to announce cannot be withdrawn (RFC 7606 section 5.2).
 */
export function updateFaults(
  decoded: DecodedAttributes,
  hasClassicNlri: boolean,
  context: AttributeContext,
): Fault[] {
  const { attributes, reach, faults, hasOthers } = decoded;
  if (hasClassicNlri || (reach !== undefined && hasReachableNlri(reach)))
    return [...faults, ...missingAttributes(attributes, hasClassicNlri, context)];
  const fault = faults.find(({ verdict }) => verdict === 'withdraw');
  if (!fault || !hasOthers) return [...faults];
  throw new WireError(
    ErrorCode.UPDATE_MESSAGE,
    fault.subcode ?? UpdateSubcode.MALFORMED_ATTRIBUTE_LIST,
    `${fault.reason}, in an UPDATE that announces nothing (RFC 7606 section 5.2)`,
    fault.data,
  );
}

/** RFC 7606 section 3(d): a missing mandatory attribute withdraws the routes. */
function missingAttributes(
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

function classicRoutes(bytes: Uint8Array, hasPathId: boolean): Nlri[] {
  try {
    return decodeNlri(bytes, 4, hasPathId);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw networkError(error.message);
  }
}

/** RFC 4271 section 6.3: the error for prefixes that cannot be parsed. */
export function networkError(fault: string): WireError {
  return new WireError(ErrorCode.UPDATE_MESSAGE, UpdateSubcode.INVALID_NETWORK_FIELD, `prefixes: ${fault}`);
}

function decodeReach(
  value: Uint8Array,
  hasExtendedNextHop: boolean,
  hasPathId: (family: Family) => boolean,
): Reach | undefined {
  const head = readReachHead(value, hasExtendedNextHop);
  if (!head) return undefined;
  const { family, nextHop, nlriAt } = head;
  return {
    family,
    nextHop: formatBytes(nextHop.length === 4 ? nextHop : nextHop.subarray(0, 16)),
    ...(nextHop.length === 32 ? { linkLocal: formatBytes(nextHop.subarray(16)) } : {}),
    routes: multiprotocolRoutes(value.subarray(nlriAt), family, hasPathId(family), 'MP_REACH_NLRI'),
  };
}

function decodeUnreach(value: Uint8Array, hasPathId: (family: Family) => boolean): Unreach | undefined {
  const family = readUnreachFamily(value);
  if (!family) return undefined;
  const routes = multiprotocolRoutes(
    value.subarray(UNREACH_HEAD),
    family,
    hasPathId(family),
    'MP_UNREACH_NLRI',
  );
  return { family, routes };
}

function multiprotocolRoutes(bytes: Uint8Array, family: Family, hasPathId: boolean, name: string): Nlri[] {
  try {
    return decodeNlri(bytes, family, hasPathId);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw broken(name, error.message);
  }
}

/** An UPDATE to send. */
export type OutgoingUpdate = Omit<UpdateMessage, 'faults' | 'type'>;

/** Encodes the body of an UPDATE. Throws RangeError for attributes that do not fit, so it is only for own values. */
export function encodeUpdate(update: OutgoingUpdate, context: AttributeContext): Uint8Array {
  const writer = new Writer();
  writer.u16(0);
  for (const route of update.withdrawn) encodeNlri(route, writer);
  writer.patchU16(0, writer.length - 2);
  const lengthAt = writer.length;
  writer.u16(0);
  // RFC 7606 section 5.1: the MP attributes come first.
  if (update.reach) encodeReach(update.reach, writer);
  if (update.unreach) encodeUnreach(update.unreach, writer);
  if (update.attributes) {
    const octets = encodeAttributes(update.attributes, writer, {
      ...context,
      hasNextHop: update.nlri.length > 0,
    });
    if (octets > MAX_ATTRIBUTES_LENGTH) throw new RangeError(`attributes of ${octets} octets in an UPDATE`);
  }
  writer.patchU16(lengthAt, writer.length - lengthAt - 2);
  for (const route of update.nlri) encodeNlri(route, writer);
  return writer.finish();
}

/** Returns the End-of-RIB marker of a family (RFC 4724 section 2). */
export function endOfRib(family: Family): OutgoingUpdate {
  const empty = { withdrawn: [], nlri: [], reach: undefined, attributes: undefined };
  return { ...empty, unreach: family === 4 ? undefined : { family, routes: [] } };
}

/** Returns the family of an End-of-RIB marker (RFC 4724 section 2); undefined for any other UPDATE. */
export function endOfRibFamily(body: Uint8Array): Family | undefined {
  if (body.length === 4)
    return body[0] === 0 && body[1] === 0 && body[2] === 0 && body[3] === 0 ? 4 : undefined;
  // A single attribute, MP_UNREACH_NLRI with only AFI and SAFI, with a header of three or four octets.
  if (body.length !== 10 && body.length !== 11) return undefined;
  const header = body.length - 4 - 3;
  const length = header === 3 ? body[6]! : (body[6]! << 8) | body[7]!;
  const isUnreach = body[0] === 0 && body[1] === 0 && body[5] === 15 && length === 3;
  return isUnreach && body[3] === header + 3 ? readUnreachFamily(body.subarray(4 + header)) : undefined;
}
