/** Where the addresses of this node's pods come from: IPAM blocks of the cluster, or the podCIDRs of the Node. */

import { handleOf } from '../../cni/assign-request.ts';
import type { EndpointStore } from '../../cni/endpoint-store.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { Node } from '../../datastore/schema/core.ts';
import { podCidrsOf } from '../../felix/calc/pod-cidr-blocks.ts';
import type { AddressSource } from '../../ipam/address-source.ts';
import { Ipam, type IpamView } from '../../ipam/ipam.ts';
import { PodCidrIpam } from '../../ipam/pod-cidr.ts';
import { IpamUpkeep, type UpkeepView } from '../../ipam/upkeep.ts';
import type { Boundary } from '../../lib/boundary.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { AgentConfig } from './environment.ts';

export interface AddressModules {
  readonly store: Datastore;
  readonly view: IpamView & UpkeepView;
  readonly endpoints: Pick<EndpointStore, 'list'>;
  /** Returns this Node; undefined when the API has none. */
  readonly node: () => Node | undefined;
  /** Returns the handles of ADDs in progress. */
  readonly adding: () => Iterable<string>;
  readonly boundary: Boundary;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Addresses {
  readonly ipam: AddressSource;
  /** Undefined for podCIDRs, which have no state in the datastore. */
  readonly upkeep: IpamUpkeep | undefined;
}

/** Makes the source of addresses and its upkeep. `startedAt` is when this agent started, epoch milliseconds. */
export function addressesFor(
  { node, ipam: kind }: Pick<AgentConfig, 'node' | 'ipam'>,
  startedAt: number,
  modules: AddressModules,
): Addresses {
  const { store, view, endpoints, adding, boundary, clock, log } = modules;
  const held = () =>
    endpoints
      .list()
      .map(
        ({ network, containerId, addresses }) =>
          [handleOf({ name: network }, containerId), addresses] as const,
      );
  if (kind === 'host-local') {
    const ipam = new PodCidrIpam(node, () => podCidrsOf(modules.node()?.spec ?? {}), held());
    return { ipam, upkeep: undefined };
  }
  const ipam = new Ipam({ node }, { store, view, clock });
  const handles = () => [...held().map(([handle]) => handle), ...adding()];
  const upkeep = new IpamUpkeep({ node, startedAt }, { ipam, store, view, handles, boundary, clock, log });
  return { ipam, upkeep };
}
