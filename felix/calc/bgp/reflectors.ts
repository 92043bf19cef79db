/**
 * Route reflectors of a Deployment, as candidates for `peerSelector`. A Service with Calico's annotation for reflecting
 * Nodes (RouteReflectorClusterID) is a reflector, and its endpoints are the addresses to connect to. The selector
 * matches the Service's labels. The reflectors have their nodes' addresses and a separate port. Only Services of listed
 * namespaces count, so that a user who can create Services in another one cannot become a reflector of the cluster.
 */
import type { EndpointSlice, Service } from '../../../datastore/schema/core.ts';
import { bitsOf, formatAddress, parseAddress } from '../../../lib/cidr.ts';
import { whyNoHost } from '../../../lib/host-address.ts';
import type { NodeInfo } from '../../../model/node.ts';
import { Annotations } from '../../../model/node-annotations.ts';

export interface ReflectorInfo extends NodeInfo {
  /** The Service, NAMESPACE/NAME. */
  readonly service: string;
  /** UID of the Service. A Service that was deleted and created again is a different one. */
  readonly serviceUid: string | undefined;
  /** TCP port of the speaker. */
  readonly port: number;
  /** False for the Service itself and for a removed endpoint. Neither can replace the mesh. */
  readonly isLive: boolean;
}

const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

/** Returns the name of a reflector, from its Service and node. */
export function reflectorName(service: string, node: string): string {
  return `${service} on ${node}`;
}

/** Returns the namespaces of reflector Services: the comma-separated CALI_REFLECTOR_NAMESPACES, else our own one. */
export function reflectorNamespaces(list: string | undefined, own: string): readonly string[] {
  const named = (list ?? '').split(',').map((name) => name.trim());
  const given = named.filter((name) => name !== '');
  return given.length > 0 ? given : [own];
}

/**
 * Returns, for each Service in these namespaces, one entry without addresses, and one per node with an endpoint. The
 * former shows that reflectors are configured.
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
