import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NextHops, resolver } from '../../../felix/dataplane/next-hops.ts';
import { type Cidr, contains, mustCidr, parseAddress } from '../../../lib/cidr.ts';
import type { KernelRoute, Route } from '../../../model/route.ts';
import { kernelRoute } from '../../helpers/kernel-route.ts';

const digit = fc.integer({ min: 0, max: 3 });
const address = fc.oneof(
  fc.tuple(digit, digit).map(([a, b]) => `10.0.${a}.${b * 64 + 5}`),
  fc.tuple(digit, digit).map(([a, b]) => `fd00:${a}::${b}`),
);
const destination = fc.oneof(
  fc.tuple(digit, fc.constantFrom(8, 16, 22, 24, 26, 32)).map(([a, length]) => `10.0.${a}.0/${length}`),
  fc.tuple(digit, fc.constantFrom(16, 32, 64, 128)).map(([a, length]) => `fd00:${a}::/${length}`),
  fc.constantFrom('0.0.0.0/0', '::/0'),
);
const route = fc
  .tuple(destination, fc.constantFrom('unicast', 'unreachable'), fc.constantFrom('eth0', 'eth1'), digit)
  .map(([prefix, type, device, n]): KernelRoute => {
    const gateway = n === 0 ? undefined : `10.7.0.${n}`;
    return kernelRoute(prefix, { type, hops: [{ gateway, device }] });
  });
const fixed = fc.tuple(destination, address).map(
  ([prefix, gateway]): Route => ({
    ...{ destination: prefix, type: 'unicast', protocol: 'local' },
    ...{ device: undefined, gateways: [gateway] },
  }),
);

describe('next hops', () => {
  it('The longest prefix wins, the first of several routes to it counts.', () => {
    fc.assert(
      fc.property(fc.array(route), address, (routes, nextHop) => {
        const expected = bestBySearch(routes, nextHop)?.hops[0];
        const hop = resolver([], routes, undefined)(nextHop, false);
        expect(hop).toEqual(expected && { gateway: expected.gateway ?? nextHop, device: expected.device });
      }),
    );
  });

  it('After any changes of other routes and static routes, reused results are those of a fresh start.', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.array(route), fc.array(fixed, { maxLength: 2 })), { maxLength: 4 }),
        fc.array(address, { minLength: 1 }),
        (steps, nextHops) => {
          const memory = new NextHops();
          for (const [foreign, statics] of steps.flatMap((step) => [step, step])) {
            const reused = resolver(statics, foreign, undefined, memory);
            for (const nextHop of nextHops)
              expect(reused(nextHop, false)).toEqual(resolver(statics, foreign, undefined)(nextHop, false));
          }
        },
      ),
    );
  });
});

/** Searches all routes. */
function bestBySearch(routes: readonly KernelRoute[], nextHop: string): KernelRoute | undefined {
  let best: KernelRoute | undefined;
  const lengthOf = (one: KernelRoute | undefined) => (one ? mustCidr(one.destination).length : -1);
  const isIn = (cidr: Cidr) => contains(cidr, parseAddress(nextHop)!);
  for (const one of routes)
    if (one.type === 'unicast' && isIn(mustCidr(one.destination)) && lengthOf(one) > lengthOf(best))
      best = one;
  return best;
}
