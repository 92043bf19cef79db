import { expect, it } from 'vitest';
import { Topology } from '../../../../agent/inputs/topology.ts';
import { bgpConfigurationKind } from '../../../../datastore/schema/bgp-configuration.ts';
import { type EndpointSlice, endpointSliceKind, serviceKind } from '../../../../datastore/schema/core.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';

const configuration = (nodeToNodeMeshEnabled: boolean) =>
  bgpConfigurationKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'BGPConfiguration',
    metadata: { name: 'default' },
    spec: { nodeToNodeMeshEnabled },
  });
const service = serviceKind.schema.parse({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name: 'rr',
    namespace: 'cali',
    uid: 'u1',
    annotations: { 'projectcalico.org/RouteReflectorClusterID': '244.0.0.1' },
  },
  spec: {},
});
const slice = endpointSliceKind.schema.parse({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'rr-1', namespace: 'cali', labels: { 'kubernetes.io/service-name': 'rr' } },
  addressType: 'IPv4',
  endpoints: [{ addresses: ['172.18.0.11'], nodeName: 'n1' }],
  ports: [{ port: 1790 }],
});

const world = ({ isMeshOn = true, slices = [] as EndpointSlice[] } = {}) => ({
  bgpConfigurations: () => [configuration(isMeshOn)],
  services: () => [service],
  slices: () => slices,
});

function start() {
  const clock = new ManualClock();
  let changes = 0;
  const topology = new Topology(
    { reflectorNamespaces: ['cali'], restartTimeSeconds: 120 },
    {
      clock,
      changed: () => {
        changes++;
      },
    },
  );
  return { clock, topology, changes: () => changes };
}

it('a mesh that is disabled is kept for five seconds, and its end requests a recalculation', () => {
  const { clock, topology, changes } = start();
  topology.update(world());
  expect(topology.isMeshHeld).toBe(false);
  topology.update(world({ isMeshOn: false }));
  expect(topology.isMeshHeld).toBe(true);
  clock.advance(4_999);
  expect(changes()).toBe(0);
  clock.advance(1);
  expect(changes()).toBe(1);
  topology.update(world({ isMeshOn: false }));
  expect(topology.isMeshHeld).toBe(false);
});

it('a reflector that leaves its Service is used for the restart time, first live and then not', () => {
  const { clock, topology, changes } = start();
  const ports = () => topology.reflectors.filter(({ port }) => port !== 0);
  topology.update(world({ slices: [slice] }));
  expect(ports()).toMatchObject([{ name: 'cali/rr on n1', isLive: true }]);
  clock.advance(1);
  topology.update(world());
  expect(ports()).toMatchObject([{ isLive: true }]);
  clock.advance(10_000);
  expect(changes()).toBe(1);
  topology.update(world());
  expect(ports()).toMatchObject([{ isLive: false }]);
  clock.advance(110_000);
  expect(changes()).toBe(2);
  topology.update(world());
  expect(ports()).toEqual([]);
});

it('after close nothing requests a recalculation', () => {
  const { clock, topology, changes } = start();
  topology.update(world());
  topology.update(world({ isMeshOn: false }));
  topology.close();
  clock.advance(60_000);
  expect(changes()).toBe(0);
});
