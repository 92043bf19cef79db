/**
 * Parses Calico's annotations of Nodes and reflector Services to typed values. A malformed annotation counts as absent
 * and is reported as a problem. Any client that may patch a Node's status can write them, so no text is used unparsed.
 */
import type { ObjectProblem } from '../datastore/object-problem.ts';
import { nodeAnnotations } from '../datastore/schema/core.ts';
import { parseAsNumber } from '../datastore/schema/fields.ts';
import { type Family, formatAddress, parseAddress, parseCidr } from '../lib/cidr.ts';
import { whyNoHost } from '../lib/host-address.ts';
import { parseMac } from '../lib/mac.ts';
import { printable } from '../lib/plain-text.ts';
import { type TunnelKind, tunnels, vtepMac } from './tunnel.ts';

export interface NodeAddress {
  readonly address: string;
  /** Prefix length of the node's subnet; a host's length (32 or 128) when the annotation has none. */
  readonly length: number;
}

export interface TunnelEnd {
  readonly address: string;
  /** MAC address of the VXLAN device. */
  readonly mac: string;
}

/** Longest accepted annotation. Longer text counts as malformed. */
const MAX_LENGTH = 100;
/** Shortest accepted prefix length of a node's subnet. */
const MIN_PREFIX: Readonly<Record<Family, number>> = { 4: 8, 6: 16 };

/** Identifies the annotated object in problems. */
type AnnotatedObject = Pick<ObjectProblem, 'kind' | 'name' | 'namespace'>;

/** A malformed annotation. */
export interface AnnotationFault {
  readonly annotation: string;
  /** The text in quotation marks, printable. */
  readonly shown: string;
  /** What the annotation should contain, such as `an AS number`. */
  readonly wanted: string;
  /** What is wrong with a value of the right form, such as `is a multicast address`; undefined for another form. */
  readonly cause: string | undefined;
}

export class Annotations {
  readonly #object: AnnotatedObject;
  readonly #texts: Readonly<Record<string, string>>;
  /** The malformed annotations that were read. */
  readonly faults: AnnotationFault[] = [];

  constructor(object: AnnotatedObject, texts: Readonly<Record<string, string>>) {
    this.#object = object;
    this.#texts = texts;
  }

  /** Returns a problem for each malformed annotation that was read. */
  get problems(): ObjectProblem[] {
    return this.faults.map(({ annotation, shown, wanted, cause }) => ({
      ...this.#object,
      field: `metadata.annotations[${annotation}]`,
      reason:
        cause === undefined
          ? `${shown} counts as absent: it must be ${wanted}`
          : `${shown} ${cause}: it counts as absent; write ${wanted}`,
    }));
  }

  /** Returns a node's address with the prefix length of its subnet. */
  nodeAddress(key: string, family: Family): NodeAddress | undefined {
    return this.#read(key, `an IPv${family} address with its prefix length`, (text) => {
      const cidr = parseCidr(text);
      if (cidr?.family !== family) return undefined;
      const reason = whyNoHost(cidr);
      if (reason) return { reason };
      if (cidr.length < MIN_PREFIX[family])
        return { reason: `has a prefix length below ${MIN_PREFIX[family]}` };
      return { value: { address: formatAddress(cidr), length: cidr.length } };
    });
  }

  /** Returns the AS number: 1 to 4294967295, or dotted. */
  asNumber(): number | undefined {
    return this.#read(nodeAnnotations.asNumber, 'an AS number', (text) => {
      const value = parseAsNumber(text);
      return value === undefined ? undefined : { value };
    });
  }

  /** Returns the route reflector cluster ID as a dotted quad. The annotation may hold a number (RFC 4456 section 7). */
  clusterId(): string | undefined {
    return this.#read(
      nodeAnnotations.routeReflectorClusterID,
      'a cluster ID, as a dotted quad such as 244.0.0.1 or a number up to 4294967295',
      (text) => {
        const number = /^\d{1,10}$/.test(text) ? Number(text) : undefined;
        if (number !== undefined)
          return number <= 0xffffffff
            ? { value: formatAddress({ family: 4, value: BigInt(number) }) }
            : undefined;
        const address = parseAddress(text);
        return address?.family === 4 ? { value: formatAddress(address) } : undefined;
      },
    );
  }

  /** Whether the node's BGP speaker sends with TTL 255. */
  sendsTtl255(): boolean {
    const read = this.#read(nodeAnnotations.bgpTTLSecurity, '1, or absent', (text) =>
      text === '1' ? { value: true } : undefined,
    );
    return read ?? false;
  }

  /** Returns the node's end of a tunnel. Without an annotated MAC address, it is derived from the node's name. */
  tunnelEnd(kind: TunnelKind, node: string): TunnelEnd | undefined {
    const address = this.tunnelAddress(kind);
    const mac = this.tunnelMac(kind);
    return address === undefined ? undefined : { address, mac: mac ?? vtepMac(node, tunnels[kind].family) };
  }

  /** Returns the node's address in a tunnel. */
  tunnelAddress(kind: TunnelKind): string | undefined {
    const { annotation, family } = tunnels[kind];
    return this.#read(annotation, `an IPv${family} address`, (text) => {
      const parsed = parseAddress(text);
      if (parsed?.family !== family) return undefined;
      const reason = whyNoHost(parsed);
      return reason ? { reason } : { value: formatAddress(parsed) };
    });
  }

  /** Returns the annotated MAC address of the node's VXLAN device; undefined without one. */
  tunnelMac(kind: TunnelKind): string | undefined {
    const { macAnnotation } = tunnels[kind];
    if (macAnnotation === undefined) return undefined;
    return this.#read(macAnnotation, 'a unicast MAC address such as 66:0a:1b:2c:3d:4e', (text) => {
      const value = parseMac(text);
      return value === undefined ? undefined : { value };
    });
  }

  /** Returns an annotation's value. Absent or empty is not a problem. `parse` returns undefined for malformed text. */
  #read<T>(
    key: string,
    wanted: string,
    parse: (text: string) => { readonly value: T } | { readonly reason: string } | undefined,
  ): T | undefined {
    const text = Object.hasOwn(this.#texts, key) ? this.#texts[key]! : '';
    if (text === '') return undefined;
    const parsed = text.length > MAX_LENGTH ? undefined : parse(text);
    if (parsed && 'value' in parsed) return parsed.value;
    const shown = `"${printable(text, MAX_LENGTH)}"`;
    this.faults.push({ annotation: key, shown, wanted, cause: parsed?.reason });
    return undefined;
  }
}
