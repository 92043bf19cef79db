import { expect, it } from 'vitest';
import { describeProblem } from '../../../datastore/object-problem.ts';
import { addressConflicts } from '../../../felix/calc/address-conflicts.ts';
import type { NodeInfo } from '../../../model/node.ts';

const node = (name: string, ipv4: string, ipv6: string): NodeInfo => ({
  name,
  labels: {},
  addresses: { 4: { address: ipv4, length: 24 }, 6: { address: ipv6, length: 64 } },
  asNumber: undefined,
  clusterId: undefined,
  tunnels: {},
});

it('two nodes with the same address are both reported, each with the other’s name', () => {
  const nodes = [
    node('a', '10.0.0.1', 'fd00::1'),
    node('b', '10.0.0.2', 'fd00::1'),
    node('c', '10.0.0.3', 'fd00::3'),
  ];
  expect(addressConflicts(nodes).map(describeProblem)).toEqual([
    'Node a: metadata.annotations[projectcalico.org/IPv6Address]: fd00::1 is the address of Node b as well, and only one of them is reachable: give each Node its own address',
    'Node b: metadata.annotations[projectcalico.org/IPv6Address]: fd00::1 is the address of Node a as well, and only one of them is reachable: give each Node its own address',
  ]);
  expect(addressConflicts(nodes.slice(1))).toEqual([]);
});
