import { expect, it } from 'vitest';
import { InputReader, type InputSources } from '../../../../agent/inputs/agent-inputs.ts';
import { type ClusterObjects, clusterOf, NO_OBJECTS, objectsOf } from '../../../../agent/inputs/cluster.ts';
import { readConfig } from '../../../../agent/inputs/environment.ts';
import { Quarantine } from '../../../../agent/inputs/quarantine.ts';
import type { UnreadableObject } from '../../../../datastore/informer.ts';
import { nodeAnnotations, nodeKind } from '../../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../../datastore/schema/ip-pool.ts';
import { silentLog } from '../../../../lib/log.ts';
import { systemTime } from '../../../../lib/time.ts';
import { nodeInfo } from '../../../../model/node.ts';

const node = nodeKind.schema.parse({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n1', annotations: { [nodeAnnotations.ipv4IPIPTunnelAddr]: '10.244.1.1' } },
  spec: { podCIDR: '10.9.1.0/24' },
});
const pool = (name: string, cidr: string) =>
  ipPoolKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name },
    spec: { cidr },
  });
const absent = (kind: string, name: string, isAbsent = true): UnreadableObject => ({
  problem: { kind, name, reason: 'is malformed' },
  uid: undefined,
  conditions: undefined,
  isAbsent,
});

function reader(problems: UnreadableObject[], more: Partial<InputSources> = {}) {
  const objects = {
    ...NO_OBJECTS,
    Node: [node],
    IPPool: [pool('a', '10.1.0.0/16'), pool('b', '10.2.0.0/16')],
  };
  const pods = { pod: () => undefined, namespace: () => undefined };
  return new InputReader({
    config: readConfig({ NODENAME: 'n1' }),
    api: '10.96.0.1',
    view: { ...clusterOf(objects, 'n1', pods), problems: () => problems },
    quarantine: new Quarantine('n1', silentLog, systemTime),
    endpoints: { list: () => [] },
    topology: { reflectors: [], isMeshHeld: false },
    host: { facts: () => undefined },
    self: () => nodeInfo(node),
    ...more,
  });
}

it('objects without a usable version are named: filters for the sessions, pools for the tunnels', () => {
  const inputs = reader([
    absent('BGPFilter', 'f'),
    absent('BGPFilter', 'g', false),
    absent('IPPool', 'p'),
    absent('BGPPeer', 'q'),
  ]);
  expect(inputs.read().unusableFilters).toEqual(['f']);
  expect(inputs.absentPools()).toEqual(['IPPool p: is malformed']);
});

it('a node lost a pool when it published a tunnel that no other pool needs', () => {
  expect(reader([absent('IPPool', 'p')]).lostPools()).toEqual([expect.stringContaining('tunl0')]);
  expect(reader([]).lostPools()).toEqual([]);
  expect(reader([absent('IPPool', 'p')], { self: () => undefined }).lostPools()).toEqual([]);
});

it('calculations do not see objects in quarantine', () => {
  const quarantine = new Quarantine('n1', silentLog, systemTime);
  const inputs = reader([], { quarantine });
  const refuseB = ({ IPPool }: ClusterObjects) => {
    if (IPPool.some(({ metadata }) => metadata.name === 'b')) throw new Error('b');
  };
  expect(quarantine.investigate(inputs.objects(), refuseB)).toBe(true);
  expect(
    inputs
      .cluster()
      .pools()
      .map(({ metadata }) => metadata.name),
  ).toEqual(['a']);
  expect(objectsOf(inputs.cluster(inputs.objects())).IPPool).toHaveLength(2);
});

it('host-local IPAM represents podCIDRs as blocks', () => {
  const config = readConfig({ NODENAME: 'n1', CALI_IPAM: 'host-local' });
  expect(reader([], { config }).read().blocks).toMatchObject([{ spec: { cidr: '10.9.1.0/24' } }]);
  expect(reader([]).read().blocks).toEqual([]);
});
