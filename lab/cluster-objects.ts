/** Objects that exist before the agents start: IPPools, settings of cali-controllers, and those of the topology. */
import os from 'node:os';
import { familyOf } from '../lib/cidr.ts';
import { type Encap, poolModes, type Topology } from './topology.ts';

/** Longer than an ADD takes, so that its unfinished allocations do not count as leaks. */
const GRACE = os.cpus()[0]?.model === 'UML' ? '300s' : '10s';
const apiVersion = 'projectcalico.org/v3';

/** Returns the objects in the order in which they are created. */
export function clusterObjects(topology: Topology, encap: Exclude<Encap, 'auto'>): Topology['objects'] {
  return [...pools(topology, encap), ...collection(topology), ...topology.objects];
}

function pools({ pools: specs, mode, ipv6 }: Topology, encap: Exclude<Encap, 'auto'>): Topology['objects'] {
  const defaults = [
    { name: 'default-ipv4-ippool', cidr: '10.244.0.0/16' },
    ...(ipv6 ? [{ name: 'default-ipv6-ippool', cidr: 'fd00:10:244::/48' }] : []),
  ];
  const named = specs?.map((spec, i) => ({ name: `pool${i + 1}`, ...spec })) ?? defaults;
  return named.map(({ name, ...spec }) => {
    const isModeGiven = 'ipipMode' in spec || 'vxlanMode' in spec;
    const modes = isModeGiven ? {} : poolModes(encap, mode, familyOf(spec.cidr));
    return { apiVersion, kind: 'IPPool', metadata: { name }, spec: { natOutgoing: true, ...modes, ...spec } };
  });
}

/** Sets how soon cali-controllers collect what pods and nodes leave behind, unless the topology sets it. */
function collection({ objects }: Topology): Topology['objects'] {
  const kind = 'KubeControllersConfiguration';
  if (objects.some((object) => object.kind === kind)) return [];
  const node = { reconcilerPeriod: GRACE, leakGracePeriod: GRACE };
  return [{ apiVersion, kind, metadata: { name: 'default' }, spec: { controllers: { node } } }];
}
