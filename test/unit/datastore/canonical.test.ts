import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { bgpConfigurationKind } from '../../../datastore/schema/bgp-configuration.ts';
import { parsePeerIP } from '../../../datastore/schema/bgp-fields.ts';
import { bgpFilterKind } from '../../../datastore/schema/bgp-filter.ts';
import { bgpPeerKind } from '../../../datastore/schema/bgp-peer.ts';
import { felixConfigurationKind } from '../../../datastore/schema/cluster.ts';
import { endpointSliceKind, serviceKind } from '../../../datastore/schema/core.ts';
import { addressOrNetwork } from '../../../datastore/schema/fields.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { blockAffinityKind, ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { serviceRoutes } from '../../../felix/calc/bgp/services.ts';
import { parseCidr } from '../../../lib/cidr.ts';
import { parseRoute } from '../../helpers/ip-json.ts';

const v3 = 'projectcalico.org/v3';
const object = (kind: string, spec: object, name = 'x') => ({
  apiVersion: v3,
  kind,
  metadata: { name },
  spec,
});

describe('addresses and networks of objects', () => {
  it('that Cali accepts match the pattern that an API server checks, and an invalid length does not', () => {
    const pattern = new RegExp(
      (z.toJSONSchema(addressOrNetwork, { io: 'input', unrepresentable: 'any' }) as { pattern: string })
        .pattern,
    );
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(140), (address, length) => {
        const text = `${address}/${length}`;
        expect(pattern.test(address)).toBe(true);
        expect(pattern.test(text)).toBe(parseCidr(text) !== undefined);
      }),
    );
    for (const wrong of [
      '10.0.1.0/33',
      '10.0.0.1-10.0.0.9',
      'garbage',
      'fd00::/129',
      '10.0.0.0/',
      '10.0.0.0/08',
    ])
      expect(pattern.test(wrong)).toBe(false);
  });

  it('are read in canonical form, without host bits in networks (fault A9)', () => {
    const block = { allocations: [], unallocated: [], attributes: [] };
    const read = {
      pool: ipPoolKind.schema.parse(object('IPPool', { cidr: 'FD00:0:0::/48' })).spec.cidr,
      block: ipamBlockKind.schema.parse(object('IPAMBlock', { ...block, cidr: 'FD00::00AB/122' })).spec.cidr,
      affinity: blockAffinityKind.schema.parse(
        object('BlockAffinity', { state: 'confirmed', node: 'n', cidr: 'FD00::/122' }),
      ).spec.cidr,
      services: bgpConfigurationKind.schema.parse(
        object('BGPConfiguration', { serviceClusterIPs: [{ cidr: '10.96.0.1/12' }] }, 'default'),
      ).spec.serviceClusterIPs,
      filter: bgpFilterKind.schema.parse(
        object('BGPFilter', { importV6: [{ cidr: 'FD00::1/64', matchOperator: 'In', action: 'Accept' }] }),
      ).spec.importV6?.[0]?.cidr,
      gateway: bgpPeerKind.schema.parse(
        object('BGPPeer', { peerIP: 'FD00::1', asNumber: 1, reachableBy: 'FD00:0::2' }),
      ).spec.reachableBy,
      nodes: felixConfigurationKind.schema.parse(
        object('FelixConfiguration', { externalNodesList: ['FD00::1', '10.0.0.1/24'] }, 'default'),
      ).spec.externalNodesList,
    };
    expect(read).toEqual({
      pool: 'fd00::/48',
      block: 'fd00::80/122',
      affinity: 'fd00::/122',
      services: [{ cidr: '10.96.0.0/12' }],
      filter: 'fd00::/64',
      gateway: 'fd00::2',
      nodes: ['fd00::1/128', '10.0.0.0/24'],
    });
  });

  it.each([
    ['FD00::00AB', 'fd00::ab', undefined],
    ['[FD00::AB]:1179', 'fd00::ab', 1179],
    ['10.0.0.1:1179', '10.0.0.1', 1179],
    ['FE80::1%eth0', 'fe80::1%eth0', undefined],
    ['::FFFF:10.0.0.1', '::ffff:a00:1', undefined],
  ])('are parsed from peerIP %s as %s', (text, address, port) => {
    expect(parsePeerIP(text)).toEqual({ address, port });
  });

  it.each([
    '10.0.0.01',
    '10.0.0.1/24',
    'fe80::1%eth0%x',
    'fd00::1%eth0',
    '10.0.0.1:0',
    '[::1]:99999',
    'x\n',
    ' 10.0.0.1',
  ])('are refused in peerIP %j', (text) => expect(parsePeerIP(text)).toBeUndefined());

  it('are compared and advertised by value for Services, without addresses that no host can have', () => {
    const configurations = [
      bgpConfigurationKind.schema.parse(
        object(
          'BGPConfiguration',
          {
            serviceClusterIPs: [{ cidr: 'fd00:96::/112' }],
            serviceExternalIPs: [{ cidr: 'fd00:97::1/128' }, { cidr: '0.0.0.0/0' }],
          },
          'default',
        ),
      ),
    ];
    const service = serviceKind.schema.parse({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's', namespace: 'default' },
      spec: {
        clusterIPs: ['FD00:96::0A', '10.96.0.1\nx'],
        externalIPs: ['FD00:97:0::1', '127.0.0.1', '224.0.0.1', '169.254.1.999', '::ffff:10.0.0.1'],
        externalTrafficPolicy: 'Local',
      },
    });
    const slice = endpointSliceKind.schema.parse({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 's1', namespace: 'default', labels: { 'kubernetes.io/service-name': 's' } },
      endpoints: [
        { addresses: ['FD00::5'], nodeName: 'n1' },
        { addresses: ['host.name:x'], nodeName: 'n1' },
      ],
    });
    const { announced } = serviceRoutes({
      node: 'n1',
      nodeLabels: {},
      configurations,
      services: [service],
      slices: [slice],
    });
    expect(announced).toEqual(['0.0.0.0/0', 'fd00:96::/112', 'fd00:96::a/128', 'fd00:97::1/128']);
  });

  it('are compared by value in the kernel too', () => {
    const row = { dst: '::1.2.3.4', gateway: '::ffff:10.0.0.1', dev: 'eth0' };
    expect(parseRoute(row, 6)).toMatchObject({
      destination: '::102:304/128',
      hops: [{ gateway: '::ffff:a00:1', device: 'eth0' }],
    });
  });
});
