import { describe, expect, it } from 'vitest';
import { blockAffinityKind, ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { knownRoutes } from '../../../felix/calc/known-routes.ts';
import { exportedPrefixes, ownPrefixes } from '../../../felix/calc/own-prefixes.ts';
import { desiredRoutes } from '../../../felix/calc/routes.ts';
import { assignNext, newBlock } from '../../../ipam/block.ts';
import { podInterfaceName } from '../../../model/endpoint.ts';
import { endpoint, node, pool, v3 } from '../../helpers/calc-input.ts';

describe('prefixes that a node advertises (Calico B-104 to B-107)', () => {
  const block = (cidr: string, owner: string) =>
    ipamBlockKind.schema.parse({
      apiVersion: v3,
      kind: 'IPAMBlock',
      metadata: { name: 'b' },
      spec: newBlock(cidr, owner, 1),
    });
  const affinity = (cidr: string, owner: string, state: string) =>
    blockAffinityKind.schema.parse({
      apiVersion: v3,
      kind: 'BlockAffinity',
      metadata: { name: 'a' },
      spec: { cidr, node: owner, state },
    });
  const blocks = [
    block('10.1.0.0/26', 'n1'),
    block('10.1.0.64/26', 'n1'),
    block('10.1.0.128/26', 'n2'),
    block('10.1.0.192/26', 'n2'),
  ];
  const affinities = [
    affinity('10.1.0.0/26', 'n1', 'confirmed'),
    affinity('10.1.0.64/26', 'n1', 'pending'),
    affinity('10.1.0.128/26', 'n2', 'confirmed'),
    // The affinity names n1, but the block, which is authoritative, names n2.
    affinity('10.1.0.192/26', 'n1', 'confirmed'),
  ];

  it('are confirmed blocks, and borrowed addresses as host routes, but no pod inside an own block', () => {
    const own = ownPrefixes('n1', blocks, affinities, [
      endpoint('cali1', '10.1.0.5', 'fd00::5'),
      endpoint('cali2', '10.1.0.130'),
    ]);
    expect(own).toEqual({ blocks: ['10.1.0.0/26'], borrowed: ['10.1.0.130/32', 'fd00::5/128'] });
    expect(exportedPrefixes(own, [pool('10.1.0.0/16', { disableBGPExport: true })])).toEqual(['fd00::5/128']);
  });
});

describe('the routes of a node', () => {
  it('prefer workloads to learned routes, and those to blackholes; a block of one address has no blackhole', () => {
    const routes = desiredRoutes({
      endpoints: [endpoint('cali1', '10.1.0.5')],
      blocks: ['10.1.0.0/26', '10.1.0.99/32', '10.2.0.0/26'],
      learned: [
        { prefix: '10.1.0.5/32', nextHops: ['10.0.0.2'] },
        { prefix: '10.2.0.0/26', nextHops: ['10.0.0.2'] },
        { prefix: '10.3.0.0/26', nextHops: ['10.0.0.2', '10.0.0.3'] },
      ],
    });
    expect(
      routes.map(({ destination, type, protocol, device, gateways }) => [
        destination,
        type,
        protocol,
        device ?? gateways.join(),
      ]),
    ).toEqual([
      ['10.1.0.0/26', 'blackhole', 'local', ''],
      ['10.2.0.0/26', 'unicast', 'bgp', '10.0.0.2'],
      ['10.1.0.5/32', 'unicast', 'local', 'cali1'],
      ['10.3.0.0/26', 'unicast', 'bgp', '10.0.0.2,10.0.0.3'],
    ]);
  });

  it('use LOCAL_PREF as metric (B-071), exclude Services (B-070), and include reachableBy (B-056)', () => {
    const routes = desiredRoutes({
      endpoints: [],
      blocks: [],
      learned: [
        { prefix: '10.1.0.0/26', nextHops: ['10.0.0.2'], localPref: 2147483647 - 512 },
        { prefix: '10.2.0.0/26', nextHops: ['10.0.0.2'], localPref: 2147482623 },
        { prefix: '10.3.0.0/26', nextHops: ['10.0.0.2'], localPref: 100 },
        { prefix: '10.96.0.1/32', nextHops: ['10.0.0.2'] },
      ],
      refused: ['10.96.0.0/12'],
      reachable: [{ address: '192.0.2.1', gateway: '10.0.0.254' }],
    });
    expect(routes.map(({ destination, metric, gateways }) => [destination, metric, gateways[0]])).toEqual([
      ['192.0.2.1/32', undefined, '10.0.0.254'],
      ['10.1.0.0/26', 512, '10.0.0.2'],
      ['10.2.0.0/26', undefined, '10.0.0.2'],
      ['10.3.0.0/26', undefined, '10.0.0.2'],
    ]);
  });

  it('use the interface names of Calico', () => {
    // printf default.busybox | sha1sum
    expect(podInterfaceName('default', 'busybox')).toBe('cali12d4a061371');
  });
});

describe('routes of a node without BGP', () => {
  const far = node('n3', '10.0.9.9/24');
  const bare = node('n4', '10.0.8.8/24');

  it('are one per remote block and borrowed address, and none for own ones (F-040 to F-043)', () => {
    const owner = { handleId: 'h', attributes: { node: 'n4' } };
    const first = assignNext(newBlock('10.1.3.0/26', 'n3', 1), owner, () => false)!;
    const mine = assignNext(first.block, { handleId: 'i', attributes: { node: 'n1' } }, () => false)!;
    const blocks = [mine.block, newBlock('10.1.0.0/26', 'n1', 1), newBlock('10.1.9.0/26', 'gone', 1)].map(
      (spec) =>
        ipamBlockKind.schema.parse({ apiVersion: v3, kind: 'IPAMBlock', metadata: { name: 'b' }, spec }),
    );
    expect(knownRoutes('n1', [far, bare], blocks)).toEqual([
      { prefix: '10.1.3.0/26', nextHops: ['10.0.9.9'] },
      { prefix: `${first.address}/32`, nextHops: ['10.0.8.8'] },
    ]);
  });
});
