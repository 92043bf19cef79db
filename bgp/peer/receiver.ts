/**
 * Receives a peer's UPDATE into the RIB in one pass over its bytes. Attributes are scanned and interned once, and
 * prefixes are looked up in wire form. Attributes that the fast scan does not accept go through attributes.ts.
 */
import type { Family } from '../../lib/cidr.ts';
import type { PolicyResult } from '../policy/export.ts';
import {
  adjusted,
  attributesRejection,
  type ImportContext,
  needsAdjustment,
  nextHopRejection,
} from '../policy/import.ts';
import type { Rejection } from '../policy/rejection.ts';
import type { AttributeTable } from '../rib/attribute-table.ts';
import { attributesOf, internAttributes, TOO_LONG_BY_POLICY } from '../rib/attribute-values.ts';
import type { Rib, Verdict } from '../rib/rib.ts';
import { decodeAttributes, type Fault, type PathAttributes } from '../wire/attributes.ts';
import { encodeAttributes } from '../wire/encode-attributes.ts';
import { MAX_ATTRIBUTES_LENGTH } from '../wire/iana.ts';
import {
  broken,
  hasReachableNlri,
  readReachHead,
  readUnreachFamily,
  UNREACH_HEAD,
} from '../wire/multiprotocol.ts';
import { nlriFault } from '../wire/nlri.ts';
import { Reader } from '../wire/reader.ts';
import { AttributeFact, AttributeScan, type ScanContext } from '../wire/scan.ts';
import { layoutOf, networkError, updateFaults, WITHDRAWN_AT } from '../wire/update.ts';
import { Writer } from '../wire/writer.ts';

export type Ribs = Readonly<Record<Family, Rib>>;

export interface ReceiverContext extends ImportContext {
  /** Row of the peer in the source table. */
  readonly source: number;
  readonly isFourOctetAs: boolean;
  readonly families: readonly Family[];
  /** Families whose received prefixes have a path identifier (RFC 7911). */
  readonly addPath: readonly Family[];
  readonly hasExtendedNextHop: boolean;
  /** Maximum number of paths per family; further ones are not stored. Undefined: no limit. */
  readonly maxPrefixes: number | undefined;
}

export interface Received {
  /** Faults that did not reset the session (RFC 7606). */
  readonly faults: readonly Fault[];
  readonly announced: number;
  readonly withdrawn: number;
  /** Families with paths that were not stored because of `maxPrefixes`. */
  readonly dropped: readonly Family[];
}

// One UPDATE is received at a time.
const scan = new AttributeScan();
const mandatory = AttributeFact.ORIGIN | AttributeFact.AS_PATH;
const noBytes = new Uint8Array();
const none: readonly Family[] = [];
const wirePrefix = new Uint8Array(17);

export class UpdateReceiver {
  readonly #ribs: Ribs;
  readonly #table: AttributeTable;
  readonly #context: ReceiverContext;
  /** Context to scan attributes in normal form. */
  readonly #ownForm: ScanContext;
  #announced = 0;
  #withdrawn = 0;
  #dropped: readonly Family[] = none;

  constructor(ribs: Ribs, context: ReceiverContext) {
    this.#ribs = ribs;
    this.#table = ribs[4].attributes;
    this.#context = context;
    const { localAs, globalAs } = context;
    this.#ownForm = { isIbgp: true, isFourOctetAs: true, localAs, globalAs };
  }

  /** Applies an UPDATE to the RIB. Throws WireError for faults that reset the session even in RFC 7606. */
  receive(body: Uint8Array): Received {
    const { withdrawnEnd, attributesAt, attributesEnd } = layoutOf(body);
    const hasPathId = this.#context.addPath.includes(4);
    this.#announced = 0;
    this.#withdrawn = 0;
    this.#dropped = none;
    checkNetworks(body, WITHDRAWN_AT, withdrawnEnd, hasPathId);
    checkNetworks(body, attributesEnd, body.length, hasPathId);
    const parts = this.#attributes(body, attributesAt, attributesEnd, attributesEnd < body.length);
    this.#withdraw(4, body, WITHDRAWN_AT, withdrawnEnd);
    if (parts.unreach) this.#unreach(parts.unreach);
    if (attributesEnd < body.length) {
      const routes = { family: 4 as const, bytes: body, start: attributesEnd, end: body.length };
      if (parts.isUsable) this.#announce(routes, parts.nextHop);
      else this.#withdraw(4, body, attributesEnd, body.length);
    }
    if (parts.reach) this.#reach(parts.reach, parts.isUsable);
    return {
      faults: parts.faults,
      announced: this.#announced,
      withdrawn: this.#withdrawn,
      dropped: this.#dropped,
    };
  }

  /** Applies the current policy to a path that is already in the RIB. */
  judge(rib: Rib, path: number): Verdict {
    const { paths, prefixes } = rib;
    const received = paths.received[path]!;
    const bytes = this.#table.attributes(received);
    const ours = this.#ownForm;
    scan.scan(bytes, 0, bytes.length, ours, true);
    const rejection = this.#rejection(this.#table.nextHop(received));
    if (rejection) return { attributes: received, rejection };
    prefixes.write(paths.prefix[path]!, wirePrefix, 0);
    if (!this.#hasPolicy())
      return { attributes: received, rejection: this.#prefixRejection(rib.family, wirePrefix, 0, false) };
    return this.#applyPolicy(rib, wirePrefix, 0, attributesOf(this.#table, received), received);
  }

  /** Reads the attribute list, and leaves it in `scan`. */
  #attributes(body: Uint8Array, start: number, end: number, hasClassic: boolean) {
    const context = this.#context;
    if (scan.scan(body, start, end, context)) {
      const hasReach = scan.reachAt >= 0;
      const reach = hasReach ? body.subarray(scan.reachAt, scan.reachEnd) : undefined;
      const unreach = scan.unreachAt >= 0 ? body.subarray(scan.unreachAt, scan.unreachEnd) : undefined;
      const isComplete =
        (scan.flags & mandatory) === mandatory &&
        (!context.isIbgp || (scan.flags & AttributeFact.LOCAL_PREF) !== 0) &&
        (!hasClassic || scan.nextHopLength === 4);
      if (isComplete || (!hasClassic && !hasReach)) {
        const nextHop = body.subarray(scan.nextHopAt, scan.nextHopAt + scan.nextHopLength);
        return { reach, unreach, nextHop, isUsable: isComplete, faults: [] };
      }
    }
    return this.#carefully(body.subarray(start, end), hasClassic);
  }

  /** The slow path, through values, with the verdicts of RFC 7606. */
  #carefully(bytes: Uint8Array, hasClassic: boolean) {
    const decoded = decodeAttributes(new Reader(bytes), this.#context);
    const { attributes, reach, unreach } = decoded;
    const faults = updateFaults(decoded, hasClassic, this.#context);
    const isAnnouncing = hasClassic || (reach !== undefined && hasReachableNlri(reach));
    const isUsable = isAnnouncing && !faults.some(({ verdict }) => verdict === 'withdraw');
    let nextHop: Uint8Array = noBytes;
    if (isUsable) {
      const writer = new Writer();
      const whole = attributes as PathAttributes;
      const form = { isFourOctetAs: true, isIbgp: true, hasNextHop: hasClassic };
      const octets = encodeAttributes(whole, writer, form);
      if (octets > MAX_ATTRIBUTES_LENGTH) {
        const reason = `the attributes take ${octets} octets with 4-octet AS numbers, but an UPDATE has room for ${MAX_ATTRIBUTES_LENGTH} (RFC 6793)`;
        return { reach, unreach, nextHop, isUsable: false, faults: [...faults, withdrawnFor(reason)] };
      }
      const normal = writer.finish();
      const ours = this.#ownForm;
      if (!scan.scan(normal, 0, normal.length, ours, true))
        throw new Error('local attributes are not in normal form');
      nextHop = normal.subarray(scan.nextHopAt, scan.nextHopAt + scan.nextHopLength);
    }
    return { reach, unreach, nextHop, isUsable, faults };
  }

  #unreach(value: Uint8Array): void {
    const family = readUnreachFamily(value);
    if (!family || !this.#context.families.includes(family)) return;
    this.#checkRoutes('MP_UNREACH_NLRI', value, UNREACH_HEAD, family);
    this.#withdraw(family, value, UNREACH_HEAD, value.length);
  }

  #reach(value: Uint8Array, isUsable: boolean): void {
    const head = readReachHead(value, this.#context.hasExtendedNextHop);
    if (!head || !this.#context.families.includes(head.family)) return;
    this.#checkRoutes('MP_REACH_NLRI', value, head.nlriAt, head.family);
    const routes = { family: head.family, bytes: value, start: head.nlriAt, end: value.length };
    if (isUsable) this.#announce(routes, head.nextHop);
    else this.#withdraw(head.family, value, head.nlriAt, value.length);
  }

  #checkRoutes(name: string, value: Uint8Array, start: number, family: Family): void {
    const fault = nlriFault(value, start, value.length, family, this.#context.addPath.includes(family));
    if (fault) throw broken(name, fault);
  }

  #announce(
    { family, bytes, start, end }: { family: Family; bytes: Uint8Array; start: number; end: number },
    nextHop: Uint8Array,
  ): void {
    const context = this.#context;
    if (!context.families.includes(family)) return;
    const rib = this.#ribs[family];
    const { source, maxPrefixes } = context;
    const refused = this.#rejection(nextHop);
    const rejection = refused ? rib.rejections.intern(refused) : 0;
    const judgesPrefix = rejection === 0 && context.prefixPolicy !== undefined;
    const received = this.#table.intern(scan, nextHop, 0, nextHop.length);
    const before = rejection === 0 && this.#hasPolicy() ? attributesOf(this.#table, received) : undefined;
    const hasPathId = context.addPath.includes(family);
    for (let at = start; at < end; ) {
      const pathId = hasPathId ? u32(bytes, at) : 0;
      if (hasPathId) at += 4;
      if (
        maxPrefixes !== undefined &&
        rib.countOf(source) >= maxPrefixes &&
        !rib.has(bytes, at, source, pathId)
      ) {
        if (!this.#dropped.includes(family)) this.#dropped = [...this.#dropped, family];
      } else if (before) {
        const verdict = this.#applyPolicy(rib, bytes, at, before, received);
        const refusal = verdict.rejection ? rib.rejections.intern(verdict.rejection) : 0;
        rib.announce(bytes, at, source, pathId, received, verdict.attributes, refusal);
        if (verdict.attributes !== received) this.#table.release(verdict.attributes);
      } else if (judgesPrefix) {
        const found = this.#prefixRejection(family, bytes, at, false);
        rib.announce(bytes, at, source, pathId, received, received, found ? rib.rejections.intern(found) : 0);
      } else rib.announce(bytes, at, source, pathId, received, received, rejection);
      this.#announced++;
      at += 1 + ((bytes[at]! + 7) >>> 3);
    }
    this.#table.release(received);
  }

  /** Whether each route with the attributes in `scan` goes through policy or an adjustment. */
  #hasPolicy(): boolean {
    return this.#context.policy !== undefined || needsAdjustment(scan, this.#context);
  }

  /** Why paths with the attributes in `scan` and this next hop are not used, for any prefix. */
  #rejection(nextHop: Uint8Array): Rejection | undefined {
    const byProtocol = attributesRejection(scan, this.#context);
    if (byProtocol !== undefined) return { kind: 'protocol', reason: byProtocol };
    const byNextHop = nextHopRejection(nextHop, this.#context.ownAddresses);
    if (byNextHop !== undefined) return { kind: 'next-hop', reason: byNextHop };
    return this.#context.prefixPolicy?.nextHopRejection?.(nextHop);
  }

  #prefixRejection(
    family: Family,
    bytes: Uint8Array,
    at: number,
    isPermitted: boolean,
  ): Rejection | undefined {
    return this.#context.prefixPolicy?.rejection(family, bytes, at, isPermitted);
  }

  /**
   * Applies the policy to the prefix in wire form at `at`. The verdict has the received row, or a new row with a
   * reference for the caller.
   */
  #applyPolicy(
    rib: Rib,
    bytes: Uint8Array,
    at: number,
    attributes: PathAttributes,
    received: number,
  ): Verdict {
    const { policy, isIbgp } = this.#context;
    const prefix = rib.prefixes.textOf(bytes, at);
    const changed = needsAdjustment(scan, this.#context) ? adjusted(attributes, this.#context) : attributes;
    const result: PolicyResult = policy?.apply({ prefix, attributes: changed, isLocal: false, isIbgp }) ?? {
      isAccepted: true,
      attributes: changed,
    };
    if (!result.isAccepted)
      return { attributes: received, rejection: { kind: 'filter', reason: result.reason } };
    const rejection = this.#prefixRejection(rib.family, bytes, at, result.isExplicit ?? false);
    if (rejection) return { attributes: received, rejection };
    if (result.attributes === attributes) return { attributes: received, rejection: undefined };
    const row = internAttributes(this.#table, result.attributes);
    return row === undefined
      ? { attributes: received, rejection: { kind: 'filter', reason: TOO_LONG_BY_POLICY } }
      : { attributes: row, rejection: undefined };
  }

  #withdraw(family: Family, bytes: Uint8Array, start: number, end: number): void {
    const { source, addPath, families } = this.#context;
    if (start >= end || !families.includes(family)) return;
    const rib = this.#ribs[family];
    const hasPathId = addPath.includes(family);
    for (let at = start; at < end; ) {
      const pathId = hasPathId ? u32(bytes, at) : 0;
      if (hasPathId) at += 4;
      rib.withdraw(bytes, at, source, pathId);
      this.#withdrawn++;
      at += 1 + ((bytes[at]! + 7) >>> 3);
    }
  }
}

function withdrawnFor(reason: string): Fault {
  return { verdict: 'withdraw', reason };
}

function checkNetworks(body: Uint8Array, start: number, end: number, hasPathId: boolean): void {
  const fault = nlriFault(body, start, end, 4, hasPathId);
  if (fault) throw networkError(fault);
}

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
