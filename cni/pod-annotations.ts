/**
 * What the annotations of a pod and its namespace ask of IPAM (Calico C-007 to C-009). Whoever may create pods writes
 * them: they are parsed to values of bounded size, and a wrong one is a sentence that names object and annotation.
 */
import { type Namespace, type Pod, podAnnotations } from '../datastore/schema/core.ts';
import { canonicalCidr, type Family, formatAddress, parseAddress } from '../lib/cidr.ts';
import { printable } from '../lib/plain-text.ts';
import { CniCode, CniError } from './types.ts';

export interface AnnotationRequest {
  /** Names or networks of IPPools per family; undefined where no annotation says. */
  readonly pools: Readonly<Record<Family, readonly string[] | undefined>>;
  /** Exactly these addresses, at most one of each family; undefined: any. */
  readonly addresses: readonly string[] | undefined;
  /** Further networks that the pod may send from, canonical; they count where FelixConfiguration allows spoofing. */
  readonly allowedSourcePrefixes: readonly string[] | undefined;
}

const MAX_LENGTH = 32_768;
const MAX_ITEMS = 100;

/** Reads the annotations; the pod's come before those of its namespace. Throws CniError. */
export function readAnnotations(pod: Pod | undefined, namespace: Namespace | undefined): AnnotationRequest {
  const read = (key: string) => listOf(pod, 'pod', key) ?? listOf(namespace, 'namespace', key);
  return {
    pools: { 4: read(podAnnotations.ipv4pools), 6: read(podAnnotations.ipv6pools) },
    addresses: addressesOf(pod),
    allowedSourcePrefixes: sourcesOf(pod),
  };
}

function addressesOf(pod: Pod | undefined): readonly string[] | undefined {
  const texts = listOf(pod, 'pod', podAnnotations.ipAddrs);
  if (!texts || texts.length === 0) return undefined;
  const wanted = 'a JSON list with at most one IPv4 and one IPv6 address, such as ["10.244.0.5"]';
  const addresses = texts.map(parseAddress);
  for (const [index, address] of addresses.entries())
    if (!address) throw malformed(pod, 'pod', podAnnotations.ipAddrs, texts[index]!, wanted);
  const parsed = addresses.flatMap((address) => address ?? []);
  if (new Set(parsed.map(({ family }) => family)).size < parsed.length)
    throw malformed(pod, 'pod', podAnnotations.ipAddrs, JSON.stringify(texts), wanted);
  return parsed.map(formatAddress);
}

function sourcesOf(pod: Pod | undefined): readonly string[] | undefined {
  const key = podAnnotations.allowedSourcePrefixes;
  const texts = listOf(pod, 'pod', key);
  if (!texts || texts.length === 0) return undefined;
  const networks = texts.map((text) => {
    const network = canonicalCidr(text);
    if (!network) throw malformed(pod, 'pod', key, text, 'a JSON list of networks, such as ["10.7.0.0/16"]');
    return network;
  });
  return [...new Set(networks)];
}

function listOf(object: Pod | Namespace | undefined, kind: string, key: string): string[] | undefined {
  const annotations = object?.metadata.annotations ?? {};
  if (!Object.hasOwn(annotations, key)) return undefined;
  const text = annotations[key]!;
  const list = parseList(text);
  if (list) return list;
  const wanted = `a JSON list of at most ${MAX_ITEMS} strings, such as ["default-ipv4-ippool"]`;
  throw malformed(object, kind, key, text, wanted);
}

function parseList(text: string): string[] | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    const isList = Array.isArray(value) && value.length <= MAX_ITEMS;
    return isList && value.every((item) => typeof item === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}

function malformed(
  object: Pod | Namespace | undefined,
  kind: string,
  key: string,
  text: string,
  wanted: string,
): CniError {
  const { namespace, name } = object?.metadata ?? { name: '' };
  return new CniError(
    CniCode.INVALID_NETWORK_CONFIG,
    `${kind} ${namespace ? `${namespace}/` : ''}${name}: annotation ${key} is ${printable(text, 200)}: it has to be ${wanted}`,
  );
}
