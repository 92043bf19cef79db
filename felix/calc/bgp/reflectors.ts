/**
 * Route reflectors that run as a Deployment, as candidates for `peerSelector`: a Service that carries Calico's
 * annotation for reflecting Nodes (RouteReflectorClusterID) is one, its endpoints are where to connect to. Its labels
 * are what the selector sees. They have the addresses of the nodes that they run on, and a port of their own. Whoever
 * may create Services somewhere must not become a reflector of the cluster: only Services of named namespaces count.
 */
import type { EndpointSlice, Service } from '../../../datastore/schema/core.ts';
import { bitsOf, formatAddress, parseAddress } from '../../../lib/cidr.ts';
import { whyNoHost } from '../../../lib/host-address.ts';
import { Annotations } from '../annotations.ts';
import type { NodeInfo } from '../topology.ts';

export interface ReflectorInfo extends NodeInfo {
  /** Its Service, NAMESPACE/NAME. */
  readonly service: string;
  /** Of the Service: one that was deleted and made again is another one. */
  readonly serviceUid: string | undefined;
  /** TCP port of its speaker. */
  readonly port: number;
  /** False for the Service itself and for an endpoint that has gone: neither can stand in for the mesh. */
  readonly isLive: boolean;
}

const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

/** Name of a reflector: its Service, and the node that it runs on. */
export function reflectorName(service: string, node: string): string {
  return `${service} on ${node}`;
}

/** Namespaces whose Services may be reflectors: CALI_REFLECTOR_NAMESPACES with commas, or the program's own. */
export function reflectorNamespaces(list: string | undefined, own: string): readonly string[] {
  const named = (list ?? '').split(',').map((name) => name.trim());
  const given = named.filter((name) => name !== '');
  return given.length > 0 ? given : [own];
}

/**
 * Per Service of these namespaces one entry without addresses, which says that there shall be one, and one per node with
 * an endpoint.
 */
export function reflectorsFrom(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  namespaces: readonly string[],
): ReflectorInfo[] {
  return services.flatMap(({ metadata }) => {
    if (!namespaces.includes(metadata.namespace ?? '')) return [];
    const name = `${metadata.namespace}/${metadata.name}`;
    const annotations = new Annotations({ kind: 'Service', name: metadata.name }, metadata.annotations ?? {});
    const clusterId = annotations.clusterId();
    if (!clusterId) return [];
    const service: ReflectorInfo = {
      name,
      service: name,
      serviceUid: metadata.uid,
      labels: metadata.labels ?? {},
      addresses: {},
      asNumber: annotations.asNumber(),
      clusterId,
      tunnels: {},
      port: 0,
      isLive: false,
    };
    const own = slices.filter(
      (slice) =>
        slice.metadata.namespace === metadata.namespace &&
        slice.metadata.labels?.[SERVICE_NAME_LABEL] === metadata.name &&
        (slice.metadata.ownerReferences ?? []).every(
          ({ kind, uid }) => kind !== 'Service' || uid === metadata.uid,
        ),
    );
    return [service, ...endpointsOf(service, own)];
  });
}

function endpointsOf(service: ReflectorInfo, slices: readonly EndpointSlice[]): ReflectorInfo[] {
  const perNode = new Map<string, ReflectorInfo>();
  for (const { endpoints, ports } of slices) {
    const port = ports?.[0]?.port;
    if (!port || port < 1 || port > 65535) continue;
    for (const { addresses, nodeName } of endpoints ?? []) {
      for (const text of addresses) {
        const parsed = parseAddress(text);
        if (!parsed || whyNoHost(parsed)) continue;
        const name = reflectorName(service.name, nodeName ?? formatAddress(parsed));
        const address = { address: formatAddress(parsed), length: bitsOf(parsed.family) };
        const known = perNode.get(name) ?? { ...service, name, port, isLive: true };
        perNode.set(name, { ...known, addresses: { ...known.addresses, [parsed.family]: address } });
      }
    }
  }
  return [...perNode.values()];
}
