/**
 * Parses the annotations of a pod and its namespace for ADD (Calico C-007 to C-009). Any client that may create pods
 * can write them, so the values are bounded, and the error for an invalid one names the object and the annotation.
 */
import { type Namespace, type Pod, podAnnotations, QOS_PREFIX } from '../datastore/schema/core.ts';
import { canonicalCidr, type Family, formatAddress, parseAddress } from '../lib/cidr.ts';
import { parseMac } from '../lib/mac.ts';
import { printable } from '../lib/plain-text.ts';
import { CniCode, CniError } from './types.ts';

export interface AnnotationRequest {
  /** Names or networks of IPPools per family; undefined without an annotation. */
  readonly pools: Readonly<Record<Family, readonly string[] | undefined>>;
  /** The exact addresses to assign, at most one per family; undefined: any. */
  readonly addresses: readonly string[] | undefined;
  /** Additional networks that the pod may send from, canonical; effective if FelixConfiguration allows spoofing. */
  readonly allowedSourcePrefixes: readonly string[] | undefined;
  /** Families to assign instead of the network configuration's. */
  readonly families: readonly Family[] | undefined;
  /** MAC address of the interface inside the pod, canonical. */
  readonly mac: string | undefined;
}

/** Calico features that Cali lacks. A pod that requests one is refused rather than run without it. */
const unsupported: ReadonlyMap<string, string> = new Map([
  [
    podAnnotations.floatingIPs,
    'Cali does not support floating IPs: remove the annotation, and use a Service with an external IP',
  ],
  [
    podAnnotations.ipAddrsNoIpam,
    'Cali assigns addresses only through its IPAM: use cni.projectcalico.org/ipAddrs with an address of an IPPool',
  ],
]);
const QOS_REFUSAL =
  'Cali does not support QoS controls: remove the annotation, or use kubernetes.io/ingress-bandwidth with the bandwidth plugin';

const MAX_LENGTH = 32_768;
const MAX_ITEMS = 100;

/** Reads the annotations. The pod's override its namespace's. Throws CniError. */
export function readAnnotations(pod: Pod | undefined, namespace: Namespace | undefined): AnnotationRequest {
  refuseUnsupported(pod);
  const read = (key: string) => listOf(pod, 'pod', key) ?? listOf(namespace, 'namespace', key);
  return {
    pools: { 4: read(podAnnotations.ipv4pools), 6: read(podAnnotations.ipv6pools) },
    addresses: addressesOf(pod),
    allowedSourcePrefixes: sourcesOf(pod),
    families: familiesOf(pod, namespace),
    mac: macOf(pod),
  };
}

function refuseUnsupported(pod: Pod | undefined): void {
  for (const [key, value] of Object.entries(pod?.metadata.annotations ?? {})) {
    const reason = unsupported.get(key) ?? (key.startsWith(QOS_PREFIX) ? QOS_REFUSAL : undefined);
    if (reason === undefined || value === '') continue;
    throw new CniError(
      CniCode.INVALID_NETWORK_CONFIG,
      `pod ${nameOf(pod)}: annotation ${printable(key, 100)}: ${reason}`,
    );
  }
}

const familyNames: ReadonlyMap<string, Family> = new Map([
  ['IPv4', 4],
  ['IPv6', 6],
]);

/** Parses `["IPv4"]`, `["IPv6"]` or both. An empty list counts as absent. */
function familiesOf(pod: Pod | undefined, namespace: Namespace | undefined): readonly Family[] | undefined {
  const key = podAnnotations.ipFamilies;
  const [kind, object] = Object.hasOwn(pod?.metadata.annotations ?? {}, key)
    ? (['pod', pod] as const)
    : (['namespace', namespace] as const);
  const texts = listOf(object, kind, key);
  if (!texts || texts.length === 0) return undefined;
  const families = texts.map((text) => familyNames.get(text));
  for (const [index, family] of families.entries())
    if (!family) throw malformed(object, kind, key, texts[index]!, 'a JSON list with IPv4, IPv6 or both');
  return ([4, 6] as const).filter((family) => families.includes(family));
}

function macOf(pod: Pod | undefined): string | undefined {
  const text = pod?.metadata.annotations?.[podAnnotations.hwAddr];
  if (text === undefined) return undefined;
  const mac = parseMac(text);
  if (!mac)
    throw malformed(
      pod,
      'pod',
      podAnnotations.hwAddr,
      text,
      'a unicast MAC address, such as 0a:1b:2c:3d:4e:5f',
    );
  return mac;
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
  return new CniError(
    CniCode.INVALID_NETWORK_CONFIG,
    `${kind} ${nameOf(object)}: annotation ${key} is ${printable(text, 200)}: it must be ${wanted}`,
  );
}

function nameOf(object: Pod | Namespace | undefined): string {
  const { namespace, name } = object?.metadata ?? { name: '' };
  return `${namespace ? `${namespace}/` : ''}${name}`;
}
