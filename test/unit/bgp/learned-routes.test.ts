import { expect, it } from 'vitest';
import { LearnedRoutes } from '../../../bgp/learned-routes.ts';
import { TestRib } from '../../helpers/rib.ts';

it('a next hop counts as a pod of this node only in routes that this pod advertised itself', () => {
  const rib = new TestRib();
  const pod = rib.source('10.1.0.5', { isWorkload: true });
  const node = rib.source('10.0.0.2');
  rib.announce(pod, '192.168.1.0/24', { nextHop: '10.1.0.5' });
  rib.announce(pod, '192.168.2.0/24', { nextHop: '10.1.0.6' });
  rib.announce(node, '192.168.3.0/24', { nextHop: '10.1.0.5' });
  const learned = new LearnedRoutes(rib.ribs);
  learned.update(4, rib.rib.decideChanged());
  expect([...learned.routes.values()].map(({ prefix, nextHops, pods }) => [prefix, nextHops, pods])).toEqual([
    ['192.168.1.0/24', ['10.1.0.5'], ['10.1.0.5']],
    ['192.168.2.0/24', ['10.1.0.6'], undefined],
    ['192.168.3.0/24', ['10.1.0.5'], undefined],
  ]);
});

it('a link-local next hop in any spelling is on the link of its session (RFC 4291 section 2.5.6)', () => {
  const rib = new TestRib();
  const peer = rib.source('fe80::1', { address: 'fe80::1%eth1' });
  rib.announce(peer, '2001:db8:1::/48', { nextHop: 'fe80::1' });
  rib.announce(peer, '2001:db8:2::/48', { nextHop: 'febf::1' });
  const learned = new LearnedRoutes(rib.ribs);
  learned.update(6, rib.ribs[6].decideChanged());
  expect([...learned.routes.values()].map(({ nextHops }) => nextHops)).toEqual([
    ['fe80::1%eth1'],
    ['febf::1%eth1'],
  ]);
});
