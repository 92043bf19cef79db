/** Which service addresses this node announces (Calico reference 2.9). Pure. */
import type { BGPConfiguration } from '../../../datastore/schema/bgp-configuration.ts';
import type { EndpointSlice, Service } from '../../../datastore/schema/core.ts';
import {
  bitsOf,
  type Cidr,
  canonicalCidr,
  contains,
  familyOf,
  formatAddress,
  hostCidr,
  mustCidr,
  parseAddress,
} from '../../../lib/cidr.ts';
import { whyNoHost } from '../../../lib/host-address.ts';
import { defaultsOf } from './cluster.ts';

export interface ServicesInput {
  /** Kubernetes name of this node. */
  readonly node: string;
  readonly nodeLabels: Readonly<Record<string, string>>;
  readonly configurations: readonly BGPConfiguration[];
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
}

export interface ServiceRoutes {
  /** Prefixes to announce, sorted. */
  readonly announced: readonly string[];
  /** Ranges whose learned routes never go into the kernel (B-070, B-120). */
  readonly refused: readonly string[];
}

const EXCLUDE_LABEL = 'node.kubernetes.io/exclude-from-external-load-balancers';
const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

interface Ranges {
  readonly cluster: readonly Cidr[];
  readonly external: readonly Cidr[];
  readonly loadBalancer: readonly Cidr[];
}

export function serviceRoutes(input: ServicesInput): ServiceRoutes {
  const spec = defaultsOf(input.configurations);
  const rangesOf = (list: readonly { readonly cidr: string }[] = []) =>
    list.map(({ cidr }) => mustCidr(canonicalCidr(cidr)!));
  const ranges: Ranges = {
    cluster: rangesOf(spec.serviceClusterIPs),
    external: rangesOf(spec.serviceExternalIPs),
    loadBalancer: rangesOf(spec.serviceLoadBalancerIPs),
  };
  const all = [spec.serviceClusterIPs, spec.serviceExternalIPs, spec.serviceLoadBalancerIPs]
    .flatMap((list) => list ?? [])
    .map(({ cidr }) => canonicalCidr(cidr)!);
  const refused = [...new Set(all)].sort();
  // B-128: announces no route, but still refuses learned ones.
  if (input.nodeLabels[EXCLUDE_LABEL] === 'true') return { announced: [], refused };
  const aggregates = all.filter((cidr) => !isHost(mustCidr(cidr)));
  const isAggregated = spec.serviceLoadBalancerAggregation !== 'Disabled';
  const hosts = input.services.flatMap((service) => hostRoutes(service, input, ranges, isAggregated));
  return { announced: [...new Set([...aggregates, ...hosts])].sort(), refused };
}

/** Returns the host routes of one service; none when its ranges are announced as aggregates (B-121a to B-126). */
function hostRoutes(service: Service, input: ServicesInput, ranges: Ranges, isAggregated: boolean): string[] {
  const { spec } = service;
  if (spec.clusterIP === 'None' || spec.type === 'ExternalName') return [];
  const clusterIPs = canonical(spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : []));
  const externalIPs = canonical(spec.externalIPs).filter((address) => isInside(ranges.external, address));
  const ingress = canonical((service.status.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []));
  const balanced = ingress.filter((address) => isInside(ranges.loadBalancer, address));
  const addresses = [...(ranges.cluster.length > 0 ? clusterIPs : []), ...externalIPs, ...balanced];
  const endpoints = readyEndpoints(service, input.slices);
  if (spec.externalTrafficPolicy === 'Local') {
    // B-122, B-126: only while an endpoint of the same family is ready on this node.
    const local = endpoints.filter(({ nodeName }) => nodeName === input.node);
    return addresses
      .filter((address) => local.some((endpoint) => endpoint.family === familyOf(address)))
      .map(hostCidr);
  }
  const wanted = [
    ...externalIPs,
    ...balanced,
    ...canonical(spec.loadBalancerIP ? [spec.loadBalancerIP] : []),
  ];
  const single = [...ranges.external, ...ranges.loadBalancer].filter(isHost);
  if (wanted.some((address) => isInside(single, address))) return addresses.map(hostCidr);
  if (isAggregated || spec.type !== 'LoadBalancer') return [];
  return addresses
    .filter((address) => endpoints.some((endpoint) => endpoint.family === familyOf(address)))
    .map(hostCidr);
}

/** B-124: returns the ready endpoints of all slices of a service. An unset condition counts as ready. */
function readyEndpoints({ metadata }: Service, slices: readonly EndpointSlice[]) {
  return slices
    .filter(
      (slice) =>
        slice.metadata.namespace === metadata.namespace &&
        slice.metadata.labels?.[SERVICE_NAME_LABEL] === metadata.name,
    )
    .flatMap(({ endpoints }) => endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready !== false)
    .flatMap(({ addresses, nodeName }) =>
      canonical(addresses).map((address) => ({ nodeName, family: familyOf(address) })),
    );
}

/** Returns the valid host addresses as canonical text, and omits others. */
function canonical(texts: readonly string[] = []): string[] {
  return texts.flatMap((text) => {
    const address = parseAddress(text);
    return address && !whyNoHost(address) ? [formatAddress(address)] : [];
  });
}

function isInside(ranges: readonly Cidr[], text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && ranges.some((range) => contains(range, address));
}

function isHost({ family, length }: Cidr): boolean {
  return length === bitsOf(family);
}
