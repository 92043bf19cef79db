import { describe, expect, it } from 'vitest';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { vxlanRoutes } from '../../../felix/calc/known-routes.ts';
import { desiredRoutes } from '../../../felix/calc/routes.ts';
import { planRoutes } from '../../../felix/dataplane/route-plan.ts';
import { renderChange } from '../../../kernel/change.ts';
import type { KernelRoute } from '../../../model/route.ts';
import { DEFAULT_PROTOCOLS, NO_FORMER } from '../../../model/route-protocols.ts';

const pool = (cidr: string, spec: object) =>
  ipPoolKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name: 'p' },
    spec: { cidr, ...spec },
  });
const self = { addresses: { 4: { address: '10.0.0.1', length: 24 } } };
const near = { prefix: '10.1.2.0/26', nextHops: ['10.0.0.2'] };
const far = { prefix: '10.1.3.0/26', nextHops: ['10.0.9.9'] };
const plain = { prefix: '10.2.0.0/26', nextHops: ['10.0.0.2'] };
const pools = [pool('10.1.0.0/16', { vxlanMode: 'CrossSubnet' }), pool('10.2.0.0/16', {})];
const tunnel = { gateway: '10.1.3.1', device: 'vxlan.cali', isOnlink: true };
const encapsulate = (_: string, nextHops: readonly string[]) =>
  nextHops[0] === '10.0.9.9' ? { gateways: [], tunnels: [tunnel] } : { gateways: nextHops };

describe('fallback routes of VXLAN pools', () => {
  const fallback = vxlanRoutes(self, [near, far, plain], pools);
  const routes = (learned: (typeof near)[], encapsulates = encapsulate) =>
    desiredRoutes({ endpoints: [], blocks: [], learned, fallback, encapsulate: encapsulates });

  it('cover prefixes inside VXLAN pools, directly within the subnet and otherwise through the tunnel', () => {
    expect(fallback).toEqual([
      { ...near, isDirect: true },
      { ...far, isDirect: false },
    ]);
    expect(vxlanRoutes({ addresses: {} }, [near], pools)).toEqual([]);
    expect(routes([])).toMatchObject([
      { destination: near.prefix, protocol: 'local', gateways: ['10.0.0.2'], isFallback: true },
      { destination: far.prefix, protocol: 'local', gateways: [], tunnels: [tunnel], isFallback: true },
    ]);
  });

  it('give way to routes from BGP, and are absent while their tunnel is down', () => {
    expect(routes([near, far]).map(({ protocol }) => protocol)).toEqual(['bgp', 'bgp']);
    const withoutTunnel = routes([], (_, nextHops) => ({ gateways: nextHops }));
    expect(withoutTunnel.map(({ destination }) => destination)).toEqual([near.prefix]);
  });

  it('replace a learned route at once, except after a restart: the learned one stays until BGP has converged', () => {
    const kernel = (destination: string, via: string, protocol: number): KernelRoute => ({
      destination,
      type: 'unicast',
      protocol,
      metric: undefined,
      hops: [{ gateway: via || undefined, device: 'eth0' }],
    });
    const present = [kernel('10.0.0.0/24', '', 2), kernel(near.prefix, '10.0.0.2', DEFAULT_PROTOCOLS.bgp)];
    const plan = (keepLearned: boolean) =>
      planRoutes(routes([]).slice(0, 1), present, {
        keepLearned,
        hasLink: () => true,
        ownership: { protocols: DEFAULT_PROTOCOLS, former: NO_FORMER, ranges: [] },
      }).changes.map(renderChange);
    expect(plan(false)).toEqual(['route replace 10.1.2.0/26 via 10.0.0.2 dev eth0 proto 161']);
    expect(plan(true)).toEqual([]);
  });
});
