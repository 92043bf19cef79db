/**
 * Calico's annotations of Nodes and reflector Services, parsed to typed values: what is malformed counts as absent and
 * is a problem with a sentence. Whoever may patch a Node's status writes them, so nothing of their text is used as it is.
 */
import type { ObjectProblem } from '../../datastore/object-problem.ts';
import { nodeAnnotations } from '../../datastore/schema/core.ts';
import { parseAsNumber } from '../../datastore/schema/fields.ts';
import { type TunnelKind, tunnels, vtepMac } from '../../ipip/tunnel.ts';
import { type Family, formatAddress, parseAddress, parseCidr } from '../../lib/cidr.ts';
import { whyNoHost } from '../../lib/host-address.ts';
import { parseMac } from '../../lib/mac.ts';
import { printable } from '../../lib/plain-text.ts';

export interface NodeAddress {
  readonly address: string;
  /** Prefix length of the node's subnet; that of a host when the annotation has none. */
  readonly length: number;
}

export interface TunnelEnd {
  readonly address: string;
  /** Of a VXLAN device. */
  readonly mac: string;
}

/** Longest text that any of these annotations needs; nothing longer is parsed. */
const MAX_LENGTH = 100;
/** A node's subnet is not larger than this. */
const MIN_PREFIX: Readonly<Record<Family, number>> = { 4: 8, 6: 16 };

/** The object that has the annotations, as a problem names it. */
type AnnotatedObject = Pick<ObjectProblem, 'kind' | 'name' | 'namespace'>;

export class Annotations {
  readonly #object: AnnotatedObject;
  readonly #texts: Readonly<Record<string, string>>;
  readonly problems: ObjectProblem[] = [];

  constructor(object: AnnotatedObject, texts: Readonly<Record<string, string>>) {
    this.#object = object;
    this.#texts = texts;
  }

  /** A node's address with the length of its subnet. */
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

  /** AS number, 1 to 4294967295 or dotted. */
  asNumber(): number | undefined {
    return this.#read(nodeAnnotations.asNumber, 'an AS number', (text) => {
      const value = parseAsNumber(text);
      return value === undefined ? undefined : { value };
    });
  }

  /** Route reflector cluster ID as dotted quad; the annotation may hold a number (RFC 4456 section 7). */
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

  /** The node's end of a tunnel; its MAC address is derived from the name where the annotation has none. */
  tunnelEnd(kind: TunnelKind, node: string): TunnelEnd | undefined {
    const address = this.tunnelAddress(kind);
    const mac = this.tunnelMac(kind);
    return address === undefined ? undefined : { address, mac: mac ?? vtepMac(node, tunnels[kind].family) };
  }

  /** The node's address in a tunnel. */
  tunnelAddress(kind: TunnelKind): string | undefined {
    const { annotation, family } = tunnels[kind];
    return this.#read(annotation, `an IPv${family} address`, (text) => {
      const parsed = parseAddress(text);
      if (parsed?.family !== family) return undefined;
      const reason = whyNoHost(parsed);
      return reason ? { reason } : { value: formatAddress(parsed) };
    });
  }

  /** The MAC address of the node's VXLAN device; undefined where none is annotated. */
  tunnelMac(kind: TunnelKind): string | undefined {
    const { macAnnotation } = tunnels[kind];
    if (macAnnotation === undefined) return undefined;
    return this.#read(macAnnotation, 'a unicast MAC address such as 66:0a:1b:2c:3d:4e', (text) => {
      const value = parseMac(text);
      return value === undefined ? undefined : { value };
    });
  }

  /** The value of an annotation. Absent and empty ones are no problem; `parse` gives undefined for other text. */
  #read<T>(
    key: string,
    wanted: string,
    parse: (text: string) => { readonly value: T } | { readonly reason: string } | undefined,
  ): T | undefined {
    const text = Object.hasOwn(this.#texts, key) ? this.#texts[key]! : '';
    if (text === '') return undefined;
    const parsed = text.length > MAX_LENGTH ? undefined : parse(text);
    if (parsed && 'value' in parsed) return parsed.value;
    this.problems.push({
      ...this.#object,
      field: `metadata.annotations[${key}]`,
      reason: parsed
        ? `"${printable(text, MAX_LENGTH)}" ${parsed.reason}: it counts as absent; write ${wanted}`
        : `"${printable(text, MAX_LENGTH)}" counts as absent: it has to be ${wanted}`,
    });
    return undefined;
  }
}
