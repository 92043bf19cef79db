import { describe, expect, it } from 'vitest';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { type FilterSettings, ruleset } from '../../../felix/calc/ruleset.ts';
import type { NodeInfo } from '../../../felix/calc/topology.ts';

const pool = (name: string, spec: object) =>
  ipPoolKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name },
    spec,
  });
const node = (name: string, address: string): NodeInfo => ({
  name,
  labels: {},
  addresses: { 4: { address, length: 24 } },
  asNumber: undefined,
  clusterId: undefined,
  tunnels: {},
});
const settings: FilterSettings = {
  externalNodes: ['10.9.0.0/16'],
  allowsIpipFromPods: false,
  allowsVxlanFromPods: false,
  vxlanPort: 4789,
  vxlanVni: 4096,
  natPorts: undefined,
  natAddress: undefined,
  excludesHosts: false,
  natInterface: undefined,
};
const nodes = [node('n1', '10.0.0.1'), node('n2', '10.0.0.2')];
const inside = pool('inside', { cidr: '10.1.0.0/16', natOutgoing: true });
const balancers = pool('balancers', { cidr: '10.3.0.0/16', allowedUses: ['LoadBalancer'] });
const other = pool('other', { cidr: '10.2.0.0/16' });
const lines = (table: readonly string[]) => table.map((line) => line.trim());

describe('the nftables table', () => {
  it('is none where nothing needs it', () => {
    expect(ruleset({ nodes, pools: [other], tunnels: [], settings })).toEqual([]);
  });

  it('masquerades what leaves the pools, and nothing between pods (F-084)', () => {
    const text = lines(ruleset({ nodes, pools: [inside, other, balancers], tunnels: [], settings }));
    expect(text).toContain(
      'set pools4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.1.0.0/16, 10.2.0.0/16 }; }',
    );
    expect(text).toContain(
      'set masquerade4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.1.0.0/16 }; }',
    );
    expect(text).toContain('ip saddr @masquerade4 ip daddr != @pools4 masquerade fully-random');
    expect(text.join('\n')).not.toContain('ip6 saddr');
  });

  it('with ports, an address, an interface and nodes left out, as FelixConfiguration says', () => {
    const changed = {
      natPorts: '1000-2000',
      natAddress: '10.0.0.9',
      natInterface: 'eth+',
      excludesHosts: true,
    };
    const text = lines(
      ruleset({ nodes, pools: [inside], tunnels: [], settings: { ...settings, ...changed } }),
    );
    const which = 'ip saddr @masquerade4 ip daddr != @pools4 ip daddr != @nodes4 oifname "eth*"';
    expect(text).toContain(`${which} meta l4proto { tcp, udp } snat ip to 10.0.0.9:1000-2000 fully-random`);
    expect(text).toContain(`${which} snat ip to 10.0.0.9 fully-random`);
  });

  it('takes encapsulated packets from nodes alone, and none that a pod made (F-080, F-082, F-085)', () => {
    const tunnels = [
      { kind: 'ipip', address: '10.1.0.1' },
      { kind: 'vxlan4', address: undefined },
    ] as const;
    const text = lines(ruleset({ nodes, pools: [other], tunnels, settings }));
    expect(text).toContain(
      'set nodes4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.0.1/32, 10.0.0.2/32, 10.9.0.0/16 }; }',
    );
    expect(text).toContain('meta l4proto 4 ip saddr != @nodes4 counter drop');
    expect(text).toContain('udp dport 4789 @th,96,24 4096 ip saddr != @nodes4 counter drop');
    expect(text).toContain('iifname "cali*" meta l4proto 4 counter drop');
    expect(text).toContain('oifname "tunl0" fib saddr type local ip saddr != 10.1.0.1 snat ip to 10.1.0.1');
    expect(text.filter((line) => line === 'udp dport 4789 notrack')).toHaveLength(2);
    expect(text.filter((line) => line === 'meta l4proto 4 notrack')).toHaveLength(2);
    const allowed = { ...settings, allowsIpipFromPods: true, allowsVxlanFromPods: true };
    expect(ruleset({ nodes, pools: [other], tunnels, settings: allowed }).join()).not.toContain('cali*');
  });
});
