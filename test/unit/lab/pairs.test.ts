import { describe, expect, it } from 'vitest';
import { allProbes, flowProbes } from '../../../lab/pairs.ts';

const pod = (name: string, node: string, ...addresses: string[]) => ({ name, node, addresses });
const a = pod('a', 'node1', '10.0.0.1', 'fd00::1');
const b = pod('b', 'node1', '10.0.0.2');
const c = pod('c', 'node2', '10.0.1.1', 'fd00::2');
const node = { name: 'node1', addresses: { ipv4: '192.0.2.1', ipv6: '2001:db8::1' } };
const text = (probes: ReturnType<typeof allProbes>) =>
  probes.map(({ from, to, address }) => `${from} ${to} ${address}`);

describe('the probes of a lab', () => {
  it('cover every ordered pair of pods and every node, in the families of both sides', () => {
    expect(text(allProbes([a, b], [node]))).toEqual([
      'a b 10.0.0.2',
      'a node1 192.0.2.1',
      'a node1 2001:db8::1',
      'b a 10.0.0.1',
      'b node1 192.0.2.1',
    ]);
  });

  it('leave out IPv6 of a node that has none', () => {
    const alone = { name: 'node1', addresses: { ipv4: '192.0.2.1', ipv6: undefined } };
    expect(text(allProbes([a], [alone]))).toEqual(['a node1 192.0.2.1']);
  });
});

describe('the flows of a lab', () => {
  it('have one path between two pods of a node and one from each node to each other', () => {
    expect(text(flowProbes([a, b, c], ['node1', 'node2', 'node3']))).toEqual([
      'a b 10.0.0.2',
      'a c 10.0.1.1',
      'a c fd00::2',
      'c b 10.0.0.2',
    ]);
  });
});
