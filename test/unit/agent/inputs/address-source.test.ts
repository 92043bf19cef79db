import { expect, it } from 'vitest';
import { addressSourceFor, upkeepFor } from '../../../../agent/inputs/address-source.ts';
import { nodeKind } from '../../../../datastore/schema/core.ts';
import { Boundary } from '../../../../lib/boundary.ts';
import { silentLog } from '../../../../lib/log.ts';
import type { Endpoint } from '../../../../model/endpoint.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';
import { MemoryStore } from '../../../helpers/memory-store.ts';

const node = nodeKind.schema.parse({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n1' },
  spec: { podCIDRs: ['10.9.1.0/30'] },
});
const pod = {
  containerId: 'c1',
  containerInterface: 'eth0',
  network: 'k8s-pod-network',
  interfaceName: 'cali1',
  addresses: ['10.9.1.1'],
} as unknown as Endpoint;

function make(ipam: 'cali-ipam' | 'host-local') {
  const view = {
    nodeLabels: () => ({}),
    pools: () => [],
    blocks: () => [],
    affinities: () => [],
    reservations: () => [],
    configuration: () => undefined,
    pod: () => undefined,
  };
  const both = {
    store: new MemoryStore(),
    view,
    endpoints: { retired: () => [], list: () => [pod] },
    clock: new ManualClock(),
  };
  const source = addressSourceFor({ node: 'n1', ipam }, { ...both, node: () => node });
  const upkeep = upkeepFor({ node: 'n1', startedAt: 0 }, source, {
    ...both,
    adding: () => [],
    boundary: new Boundary(silentLog),
    log: silentLog,
  });
  return { ipam: source, upkeep };
}

it('host-local IPAM assigns from the podCIDR, without the addresses of existing pods, and needs no upkeep', async () => {
  const { ipam, upkeep } = make('host-local');
  expect(upkeep).toBeUndefined();
  expect(ipam.held('k8s-pod-network.c1')).toEqual(['10.9.1.1']);
  const request = {
    handleId: 'k8s-pod-network.c2',
    attributes: {},
    families: [4 as const],
    namespaceLabels: {},
  };
  await expect(ipam.assign(request)).resolves.toEqual(['10.9.1.2']);
});

it('Cali’s IPAM needs upkeep, because its state in the datastore outlives the agent', () => {
  expect(make('cali-ipam').upkeep).toBeDefined();
});
