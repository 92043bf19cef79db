/** Calculates the status of a CalicoNodeStatus from the agent's state. Pure; Calico reference 1.8. */
import type { PeerStatus, PeerType } from '../../bgp/peer/config.ts';
import type { RouteView } from '../../bgp/routes-view.ts';
import type { CalicoNodeStatus } from '../../datastore/schema/node-status.ts';
import { type Family, familyOf, hostCidr } from '../../lib/cidr.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { AgentStatus } from './status.ts';

export interface StatusSources {
  readonly agent: AgentStatus;
  /** Routes of both families, with all their paths. */
  readonly routes: readonly RouteView[];
  /** Pods of this node. */
  readonly endpoints: readonly Endpoint[];
  /** Returns the interface of the kernel's route to a destination. */
  readonly deviceOf: (destination: string) => string | undefined;
}

const families: readonly Family[] = [4, 6];
const peerTypes: Readonly<Record<PeerType, string>> = {
  'node-to-node mesh': 'NodeMesh',
  'node specific': 'NodePeer',
  global: 'GlobalPeer',
  dynamic: 'NodePeer',
  'local workload': 'NodePeer',
};

export function statusOf({ spec }: CalicoNodeStatus, sources: StatusSources): Record<string, unknown> {
  const has = (name: CalicoNodeStatus['spec']['classes'][number]) => spec.classes.includes(name);
  return {
    ...(has('Agent') ? { agent: agentOf(sources.agent) } : {}),
    ...(has('BGP') ? { bgp: bgpOf(sources.agent.bgp.peers) } : {}),
    ...(has('Routes') ? { routes: routesOf(sources) } : {}),
  };
}

/** Calico's names are for two BIRD processes. Cali has one speaker for both families. */
function agentOf({ bgp, startedAt, version }: AgentStatus) {
  const daemon = {
    state: bgp.error ? 'NotReady' : 'Ready',
    version: `cali ${version}`,
    routerID: bgp.routerId ?? '',
    lastBootTime: new Date(startedAt).toISOString(),
  };
  return Object.fromEntries(bgp.families.map((family) => [`birdV${family}`, daemon]));
}

function bgpOf(peers: readonly PeerStatus[]) {
  const status: Record<string, unknown> = {};
  for (const family of families) {
    const own = peers.filter(({ config }) => familyOf(config.address) === family);
    const established = own.filter(({ state }) => state === 'Established').length;
    status[`numberEstablishedV${family}`] = established;
    status[`numberNotEstablishedV${family}`] = own.length - established;
    status[`peersV${family}`] = own.map(({ config, state, since }) => ({
      peerIP: config.address,
      type: peerTypes[config.peerType],
      state,
      since: new Date(since).toISOString(),
    }));
  }
  return status;
}

function routesOf({ agent, routes, endpoints, deviceOf }: StatusSources) {
  const typeOf = new Map(agent.bgp.peers.map(({ config }) => [config.address, config.peerType]));
  const direct = endpoints.flatMap(({ interfaceName, addresses }) =>
    addresses.map((address) => ({
      type: 'FIB',
      destination: hostCidr(address),
      gateway: 'N/A',
      interface: interfaceName,
      learnedFrom: { sourceType: 'Direct' },
    })),
  );
  const learned = routes.flatMap(({ prefix, paths }) =>
    paths.map(({ from, isBest, attributes }) => ({
      type: isBest ? 'FIB' : 'RIB',
      destination: prefix,
      gateway: from === undefined ? 'N/A' : (attributes.nextHop ?? 'N/A'),
      interface: from === undefined ? 'blackhole' : (deviceOf(prefix) ?? ''),
      learnedFrom:
        from === undefined
          ? { sourceType: 'Static' }
          : {
              sourceType: typeOf.get(from) === 'node-to-node mesh' ? 'NodeMesh' : 'BGPPeer',
              peerIP: from,
            },
    })),
  );
  const all = [...direct, ...learned].sort((a, b) => (a.destination < b.destination ? -1 : 1));
  return Object.fromEntries(
    families.map((family) => [
      `routesV${family}`,
      all.filter(({ destination }) => familyOf(destination) === family),
    ]),
  );
}
