/**
 * Adj-RIB-Out of one peer (RFC 4271 section 3.2): what the peer has been told, and what it still has to be
 * told. The second is a map by prefix, so a slow peer costs one entry per prefix however often it changes.
 */
import type { Family } from '../../lib/cidr.ts';
import type { PathAttributes } from '../wire/attributes.ts';
import { encodedPrefixLength, familyOfPrefix, type Prefix } from '../wire/nlri.ts';
import type { OutgoingUpdate } from '../wire/update.ts';

/** Octets kept free for header, lengths and attributes in an UPDATE of 4,096. */
const PREFIX_BUDGET = 2800;

export class AdjRibOut {
  readonly #sent = new Map<Prefix, PathAttributes>();
  readonly #pending = new Map<Prefix, PathAttributes | null>();

  /** Prefixes that the peer knows. */
  get size(): number {
    return this.#sent.size;
  }

  get hasPending(): boolean {
    return this.#pending.size > 0;
  }

  /** What the peer shall know about a prefix; undefined for nothing. */
  want(prefix: Prefix, attributes: PathAttributes | undefined): void {
    const sent = this.#sent.get(prefix);
    if (attributes === undefined) {
      if (sent === undefined) this.#pending.delete(prefix);
      else this.#pending.set(prefix, null);
    } else if (sent !== undefined && isSame(sent, attributes)) this.#pending.delete(prefix);
    else this.#pending.set(prefix, attributes);
  }

  /** Says everything of these families again (route refresh). */
  resend(families: readonly Family[]): void {
    for (const [prefix, attributes] of this.#sent) {
      if (!families.includes(familyOfPrefix(prefix)) || this.#pending.has(prefix)) continue;
      this.#pending.set(prefix, attributes);
    }
  }

  /** UPDATEs for everything pending: withdrawals first, then one run of UPDATEs per set of attributes. */
  *drain(): Generator<OutgoingUpdate> {
    const withdrawn: Record<Family, Prefix[]> = { 4: [], 6: [] };
    const announced = new Map<string, { attributes: PathAttributes; prefixes: Prefix[] }>();
    for (const [prefix, attributes] of this.#pending) {
      const family = familyOfPrefix(prefix);
      if (attributes === null) {
        withdrawn[family].push(prefix);
        this.#sent.delete(prefix);
        continue;
      }
      const key = `${family}${JSON.stringify(attributes)}`;
      const group = announced.get(key);
      if (group) group.prefixes.push(prefix);
      else announced.set(key, { attributes, prefixes: [prefix] });
      this.#sent.set(prefix, attributes);
    }
    this.#pending.clear();
    const empty = { withdrawn: [], nlri: [], reach: undefined, unreach: undefined, attributes: undefined };
    for (const prefixes of chunks(withdrawn[4])) yield { ...empty, withdrawn: prefixes };
    for (const prefixes of chunks(withdrawn[6])) yield { ...empty, unreach: { family: 6, prefixes } };
    for (const { attributes, prefixes } of announced.values()) {
      for (const chunk of chunks(prefixes)) {
        if (familyOfPrefix(chunk[0]!) === 4) yield { ...empty, nlri: chunk, attributes };
        else
          yield { ...empty, reach: { family: 6, nextHop: attributes.nextHop, prefixes: chunk }, attributes };
      }
    }
  }
}

/** End-of-RIB marker of a family (RFC 4724 section 2). */
export function endOfRib(family: Family): OutgoingUpdate {
  const empty = { withdrawn: [], nlri: [], reach: undefined, attributes: undefined };
  return { ...empty, unreach: family === 4 ? undefined : { family, prefixes: [] } };
}

function* chunks(prefixes: readonly Prefix[]): Generator<Prefix[]> {
  let chunk: Prefix[] = [];
  let octets = 0;
  for (const prefix of prefixes) {
    octets += encodedPrefixLength(prefix);
    if (octets > PREFIX_BUDGET) {
      yield chunk;
      chunk = [];
      octets = encodedPrefixLength(prefix);
    }
    chunk.push(prefix);
  }
  if (chunk.length > 0) yield chunk;
}

function isSame(a: PathAttributes, b: PathAttributes): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
