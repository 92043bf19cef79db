/** Where the addresses of this node's pods come from: IPAM blocks of the cluster, or the podCIDRs of the Node. */

import { handleOf } from '../../cni/assign-request.ts';
import type { EndpointStore } from '../../cni/endpoint-store.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { Node } from '../../datastore/schema/core.ts';
import { podCidrsOf } from '../../felix/calc/pod-cidr-blocks.ts';
import type { AddressSource } from '../../ipam/address-source.ts';
import { Ipam } from '../../ipam/ipam.ts';
import { PodCidrIpam } from '../../ipam/pod-cidr.ts';
import { IpamUpkeep, type IpamUpkeepModules, type IpamUpkeepOptions } from '../../ipam/upkeep.ts';
import type { IpamView } from '../../ipam/view.ts';
import type { Clock } from '../../lib/time.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { AgentConfig } from './environment.ts';

export interface AddressModules {
  readonly store: Datastore;
  readonly view: IpamView;
  readonly endpoints: Pick<EndpointStore, 'list' | 'retired'>;
  /** Returns this Node; undefined when the API has none. */
  readonly node: () => Node | undefined;
  readonly clock: Clock;
}

/** Makes the source of addresses. With podCIDRs it starts with the addresses of the existing pods. */
export function addressSourceFor(
  { node, ipam }: Pick<AgentConfig, 'node' | 'ipam'>,
  modules: AddressModules,
): AddressSource {
  const { store, view, endpoints, clock } = modules;
  if (ipam === 'cali-ipam') return new Ipam({ node }, { store, view, clock });
  const present = [...endpoints.list(), ...endpoints.retired()].map(
    (one) => [handleFor(one), one.addresses] as const,
  );
  return new PodCidrIpam(node, () => podCidrsOf(modules.node()?.spec ?? {}), present);
}

export interface UpkeepModules extends Omit<IpamUpkeepModules, 'ipam' | 'handles'> {
  readonly endpoints: Pick<EndpointStore, 'list' | 'retired'>;
  /** Returns the handles of ADDs in progress. */
  readonly adding: () => Iterable<string>;
}

/** Returns the upkeep of IPAM; undefined for podCIDRs, which have no state in the datastore. */
export function upkeepFor(
  options: IpamUpkeepOptions,
  ipam: AddressSource,
  { endpoints, adding, ...modules }: UpkeepModules,
): IpamUpkeep | undefined {
  if (!(ipam instanceof Ipam)) return undefined;
  const handles = () => [...endpoints.list(), ...endpoints.retired()].map(handleFor).concat(...adding());
  return new IpamUpkeep(options, { ...modules, ipam, handles });
}

function handleFor({ network, containerId }: Endpoint): string {
  return handleOf({ name: network }, containerId);
}
