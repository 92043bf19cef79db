import { describe, expect, it } from 'vitest';
import { checkProblems } from '../../../cni/check.ts';
import type { KernelState } from '../../../kernel/port.ts';

const endpoint = { interfaceName: 'cali1', addresses: ['10.0.0.5', 'fd00::5'], netns: '/run/netns/c1' };
const route = (destination: string, device: string) => ({
  destination,
  type: 'unicast',
  protocol: 80,
  metric: undefined,
  hops: [{ gateway: undefined, device }],
});
const kernel = (isUp: boolean, routes: KernelState['routes']): Pick<KernelState, 'links' | 'routes'> => ({
  links: new Map([['cali1', { index: 7, name: 'cali1', isUp, mac: 'ee:ee:ee:ee:ee:ee', mtu: 1500 }]]),
  routes,
});
const both = [route('10.0.0.5/32', 'cali1'), route('fd00::5/128', 'cali1')];

describe('CHECK of an endpoint', () => {
  it('finds nothing when the interface is up and every address has its route', () => {
    expect(checkProblems(endpoint, '/run/netns/c1', kernel(true, both))).toEqual([]);
  });

  it('names an interface that is down or missing', () => {
    const problems = ['interface cali1 is not up'];
    expect(checkProblems(endpoint, '/run/netns/c1', kernel(false, both))).toEqual(problems);
    expect(checkProblems(endpoint, '/run/netns/c1', { links: new Map(), routes: both })).toEqual(problems);
  });

  it('names each address whose route is missing or leads elsewhere', () => {
    expect(checkProblems(endpoint, '/run/netns/c1', kernel(true, [route('fd00::5/128', 'cali2')]))).toEqual([
      'no route to 10.0.0.5 through cali1',
      'no route to fd00::5 through cali1',
    ]);
  });

  it('names the namespace of ADD when the runtime gives another', () => {
    expect(checkProblems(endpoint, '/run/netns/c2', kernel(true, both))).toEqual([
      'CNI_NETNS is /run/netns/c2, but the container was added in /run/netns/c1',
    ]);
  });
});
