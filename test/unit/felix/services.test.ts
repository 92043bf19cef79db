import { describe, expect, it } from 'vitest';
import { bgpConfigurationKind } from '../../../datastore/schema/bgp-configuration.ts';
import { endpointSliceKind, serviceKind } from '../../../datastore/schema/core.ts';
import { type ServicesInput, serviceRoutes } from '../../../felix/calc/bgp/services.ts';

const configuration = (spec: object) =>
  bgpConfigurationKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'BGPConfiguration',
    metadata: { name: 'default' },
    spec,
  });
const service = (name: string, spec: object, ingress: string[] = []) =>
  serviceKind.schema.parse({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { type: 'LoadBalancer', clusterIP: '10.96.0.10', ...spec },
    status: { loadBalancer: { ingress: ingress.map((ip) => ({ ip })) } },
  });
const slice = (name: string, ...endpoints: { node: string; address: string; ready?: boolean }[]) =>
  endpointSliceKind.schema.parse({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-x${endpoints.length}`,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': name },
    },
    endpoints: endpoints.map(({ node, address, ready }) => ({
      addresses: [address],
      nodeName: node,
      conditions: ready === undefined ? {} : { ready },
    })),
  });

const ranges = {
  serviceClusterIPs: [{ cidr: '10.96.0.0/12' }],
  serviceExternalIPs: [{ cidr: '203.0.113.0/24' }],
  serviceLoadBalancerIPs: [{ cidr: '80.15.0.0/24' }],
};
const base: ServicesInput = {
  node: 'n1',
  nodeLabels: {},
  configurations: [configuration(ranges)],
  services: [],
  slices: [],
};
const announced = (change: Partial<ServicesInput>) => serviceRoutes({ ...base, ...change }).announced;
const aggregates = ['10.96.0.0/12', '203.0.113.0/24', '80.15.0.0/24'];

describe('Service addresses that a node advertises (Calico 2.9)', () => {
  it('are the ranges as a whole, and no single address of a Cluster Service (B-120, B-123)', () => {
    const services = [service('web', { externalIPs: ['203.0.113.7'] }, ['80.15.0.9'])];
    expect(announced({ services })).toEqual(aggregates);
    expect(serviceRoutes(base).refused).toEqual(aggregates);
  });

  it('are all addresses of a Local Service while it has a ready local endpoint of the family (B-122, B-124)', () => {
    const services = [
      service('web', { externalTrafficPolicy: 'Local', externalIPs: ['203.0.113.7', '198.51.100.1'] }, [
        '80.15.0.9',
      ]),
    ];
    const hosts = ['10.96.0.10/32', '203.0.113.7/32', '80.15.0.9/32'];
    const withSlices = (...slices: ServicesInput['slices']) => announced({ services, slices });
    expect(withSlices(slice('web', { node: 'n2', address: '10.1.0.1' }))).toEqual(aggregates);
    expect(withSlices(slice('web', { node: 'n1', address: '10.1.0.1', ready: false }))).toEqual(aggregates);
    expect(withSlices(slice('web', { node: 'n1', address: 'fd00::1' }))).toEqual(aggregates);
    expect(withSlices(slice('web'), slice('web', { node: 'n1', address: '10.1.0.1' }))).toEqual(
      [...aggregates, ...hosts].sort(),
    );
  });

  it('include an address in a single-address range (B-121, B-123), and single ones without aggregation', () => {
    const single = [configuration({ ...ranges, serviceLoadBalancerIPs: [{ cidr: '80.15.0.9/32' }] })];
    const services = [service('web', {}, ['80.15.0.9'])];
    expect(announced({ configurations: single, services })).toEqual([
      '10.96.0.0/12',
      '10.96.0.10/32',
      '203.0.113.0/24',
      '80.15.0.9/32',
    ]);
    const apart = [configuration({ ...ranges, serviceLoadBalancerAggregation: 'Disabled' })];
    expect(announced({ configurations: apart, services })).toEqual(aggregates);
    const slices = [slice('web', { node: 'n2', address: '10.1.0.1' })];
    expect(announced({ configurations: apart, services, slices })).toContain('80.15.0.9/32');
  });

  it('are none on an excluded node, which still refuses the ranges (B-128), and none of headless Services', () => {
    const nodeLabels = { 'node.kubernetes.io/exclude-from-external-load-balancers': 'true' };
    expect(serviceRoutes({ ...base, nodeLabels })).toEqual({ announced: [], refused: aggregates });
    const services = [service('headless', { clusterIP: 'None', externalTrafficPolicy: 'Local' })];
    const slices = [slice('headless', { node: 'n1', address: '10.1.0.1' })];
    expect(announced({ services, slices })).toEqual(aggregates);
  });
});
