import { describe, expect, it } from 'vitest';
import { felixConfigurationKind } from '../../../datastore/schema/cluster.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { filterSettings } from '../../../felix/calc/filter-settings.ts';
import { guardChains } from '../../../felix/calc/guard/guard.ts';
import { firstGuard, type RulesetInput, ruleset } from '../../../felix/calc/ruleset.ts';

const pool = (name: string, spec: object) =>
  ipPoolKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name },
    spec,
  });
const inside = pool('inside', { cidr: '10.1.0.0/16', natOutgoing: true });
const balancers = pool('balancers', { cidr: '10.3.0.0/16', allowedUses: ['LoadBalancer'] });
const other = pool('other', { cidr: '10.2.0.0/16' });
const { settings } = filterSettings({ externalNodesList: ['10.9.0.0/16'] });
const input: RulesetInput = {
  hosts: [
    { addresses: ['10.0.0.1', 'fd00::1'], bgpPorts: [179] },
    { addresses: ['10.0.0.2', '10.1.0.1'], bgpPorts: [179, 1790] },
  ],
  others: ['10.0.0.2'],
  neighbours: ['10.0.0.2', 'fd00::2'],
  ownBgpPorts: [179],
  peers: [],
  spoofers: [],
  pools: [other],
  tunnels: [],
  settings,
};
const trimmed = (lines: readonly string[]) => lines.map((line) => line.trim());
const whole = (change: Partial<RulesetInput> = {}) => trimmed(ruleset({ ...input, ...change }).whole);
/** Returns the rules of a chain without its hook line. */
const chain = (lines: readonly string[], name: string) => {
  const start = lines.indexOf(`chain ${name} {`);
  expect(start, name).toBeGreaterThan(0);
  return lines.slice(start + 1, lines.indexOf('}', start)).filter((line) => !line.startsWith('type '));
};

describe('the guard against pod traffic', () => {
  it('is in the table even without pools, tunnels or other cluster state', () => {
    for (const lines of [trimmed(firstGuard([179])), whole({ pools: [], hosts: [], others: [] })])
      for (const name of guardChains) expect(chain(lines, name).length).toBeGreaterThan(0);
  });

  it('has no accept rule, and consults connection tracking only for translated packets', () => {
    const lines = whole({ pools: [inside], peers: [{ interfaceName: 'cali1', hasBfd: true }] });
    for (const line of lines) {
      expect(line.replace(' ct status dnat jump to-', '')).not.toMatch(/\bct\b/);
      if (!line.startsWith('type ')) expect(line).not.toMatch(/\baccept\b/);
    }
  });

  it('drops each pod packet whose source is not routed back to its interface, as its last rule', () => {
    const source = chain(whole(), 'pod-source');
    expect(source.at(-1)).toBe('fib saddr . iif oif missing counter drop');
    expect(source.filter((rule) => rule.endsWith(' return'))).toEqual([
      'ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 return',
      'ip6 saddr :: ip6 daddr ff02::/16 icmpv6 type { 131, 132, 133, 135, 143 } return',
      'iifname @bgp-pods ip6 saddr fe80::/10 ip6 daddr fe80::/10 tcp dport @own-bgp-ports return',
    ]);
  });

  it('lets a pod send from further networks only if FelixConfiguration allows it, each listed once', () => {
    const spoofers = [{ interfaceName: 'cali7', prefixes: ['10.7.0.0/16', '10.7.3.0/24', 'fd07::/64'] }];
    expect(whole({ spoofers }).join('\n')).not.toContain('cali7');
    const any = filterSettings({ workloadSourceSpoofing: 'Any' }).settings;
    const lines = whole({ spoofers, settings: any });
    expect(lines).toContain(
      'set allowed-sources4 { type ifname . ipv4_addr; flags interval; elements = { "cali7" . 10.7.0.0/16 }; }',
    );
    expect(chain(lines, 'pod-source').slice(0, 2)).toEqual([
      'iifname . ip saddr @allowed-sources4 return',
      'iifname . ip6 saddr @allowed-sources6 return',
    ]);
  });

  it('closes the BGP ports of each node at each of its addresses, before and after translation', () => {
    const lines = whole();
    expect(lines).toContain(
      'set bgp4 { type ipv4_addr . inet_service; elements = { 10.0.0.1 . 179, 10.0.0.2 . 179, 10.0.0.2 . 1790, 10.1.0.1 . 179, 10.1.0.1 . 1790 }; }',
    );
    expect(lines).toContain('set bgp-ports { type inet_service; elements = { 179, 1790 }; }');
    for (const name of ['guard-pods', 'guard-forward', 'guard-input'])
      expect(chain(lines, name)).toContain('iifname "cali*" jump pod-ports');
    expect(chain(lines, 'pod-ports')).toEqual([
      'tcp dport @bgp-ports jump to-bgp',
      'udp dport { 3784, 3785, 4784 } jump to-bfd',
      'udp dport 4789 counter drop',
      'meta l4proto 4 counter drop',
      'meta l4proto { 4, 41, 137 } jump to-node',
    ]);
    // Packets that IPVS translated look like the node's own.
    expect(chain(lines, 'guard-output')).toContain(
      'tcp dport @bgp-ports fib saddr type != local jump to-bgp',
    );
  });

  it('closes the same ports to packets that a node translates for any sender, forwarded or local', () => {
    const allowed = filterSettings({ allowVXLANPacketsFromWorkloads: true, vxlanPort: 8472 }).settings;
    const rules = (port: number) => [
      'tcp dport @bgp-ports ct status dnat jump to-bgp',
      `udp dport { 3784, 3785, 4784, ${port} } ct status dnat jump to-node`,
      'meta l4proto { 4, 41, 137 } ct status dnat jump to-node',
    ];
    for (const name of ['guard-forward', 'guard-input']) {
      expect(chain(whole(), name)).toEqual(expect.arrayContaining(rules(4789)));
      expect(chain(whole({ settings: allowed }), name)).toEqual(expect.arrayContaining(rules(8472)));
    }
  });

  it('lets peering pods speak BGP with their node from link-local addresses', () => {
    const source = chain(whole(), 'pod-source');
    const rule = 'iifname @bgp-pods ip6 saddr fe80::/10 ip6 daddr fe80::/10 tcp dport @own-bgp-ports return';
    expect(source.indexOf(rule)).toBe(source.indexOf('ip6 saddr fe80::/10 jump link-local') - 1);
    expect(source).toContain(rule);
  });

  it('opens only BGP and BFD of the own node to pods that BGPPeers select', () => {
    const peers = [
      { interfaceName: 'cali1', hasBfd: true },
      { interfaceName: 'cali2', hasBfd: false },
    ];
    const lines = whole({ peers });
    expect(lines).toContain('set bgp-pods { type ifname; elements = { "cali1", "cali2" }; }');
    expect(lines).toContain('set bfd-pods { type ifname; elements = { "cali1" }; }');
    expect(chain(lines, 'to-bgp')[0]).toBe('iifname @bgp-pods fib daddr type local return');
    expect(chain(lines, 'to-bfd')[0]).toBe('iifname @bfd-pods fib daddr type local return');
  });

  it('lets class E pass, because hosts on the wire may use it', () => {
    const limited = 'ip saddr { 127.0.0.0/8, 224.0.0.0/4, 255.255.255.255 } counter drop';
    expect(chain(whole(), 'martians')[0]).toBe(limited);
  });

  it('accepts encapsulated packets only from other nodes, and none that a pod sent (F-080, F-082)', () => {
    const tunnels = [
      { kind: 'ipip', address: '10.1.0.1' },
      { kind: 'vxlan4', address: undefined },
    ] as const;
    const lines = whole({ tunnels });
    expect(lines).toContain(
      'set encapsulators4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.0.2, 10.9.0.0/16 }; }',
    );
    expect(chain(lines, 'guard-input')).toContain('meta l4proto 4 ip saddr != @encapsulators4 counter drop');
    expect(chain(lines, 'guard-input')).toContain(
      'udp dport 4789 @th,96,24 4096 ip saddr != @encapsulators4 counter drop',
    );
    expect(chain(lines, 'guard-wire')).toEqual([
      'iifname != "lo" jump martians',
      'iifname "vxlan-v6.cali" counter drop',
    ]);
    expect(chain(trimmed(firstGuard([179])), 'guard-wire')).toEqual(['iifname != "lo" jump martians']);
  });

  it('accepts BFD from neighbours only with TTL 255 (RFC 5881 section 5)', () => {
    const rules = chain(whole(), 'guard-input').filter((rule) => /udp dport [34]784/.test(rule));
    expect(rules).toEqual([
      'udp dport 3784 ip ttl != 255 counter drop',
      'udp dport 3784 ip6 hoplimit != 255 counter drop',
      'udp dport 4784 ip ttl != 255 ip saddr @neighbours4 counter drop',
      'udp dport 4784 ip6 hoplimit != 255 ip6 saddr @neighbours6 counter drop',
    ]);
    expect(whole()).toContain('set neighbours4 { type ipv4_addr; elements = { 10.0.0.2 }; }');
    expect(whole()).toContain('set neighbours6 { type ipv6_addr; elements = { fd00::2 }; }');
  });

  it('keeps nodes closed to encapsulated packets of pods even if FelixConfiguration allows such packets', () => {
    const allowed = filterSettings({
      allowIPIPPacketsFromWorkloads: true,
      allowVXLANPacketsFromWorkloads: true,
      vxlanPort: 8472,
    }).settings;
    expect(chain(whole({ settings: allowed }), 'pod-ports').slice(2)).toEqual([
      'udp dport 8472 jump to-node',
      'meta l4proto { 4, 41, 137 } jump to-node',
    ]);
  });
});

describe('the NAT and tracking rules', () => {
  it('are an empty NAT chain when no pool or tunnel needs more, so that the kernel keeps translating', () => {
    expect(whole().filter((line) => /hook|notrack|masquerade /.test(line))).toEqual([
      ...trimmed(ruleset(input).guard).filter((line) => line.includes('hook')),
      'type nat hook postrouting priority srcnat; policy accept;',
    ]);
    expect(chain(whole(), 'nat-outgoing')).toEqual([]);
  });

  it('masquerade packets that leave the pools, and none between pods (F-084)', () => {
    const lines = whole({ pools: [inside, other, balancers] });
    expect(lines).toContain(
      'set pools4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.1.0.0/16, 10.2.0.0/16 }; }',
    );
    expect(lines).toContain(
      'set masquerade4 { type ipv4_addr; flags interval; auto-merge; elements = { 10.1.0.0/16 }; }',
    );
    expect(chain(lines, 'nat-outgoing')).toEqual([
      'ip saddr @masquerade4 ip daddr != @pools4 masquerade fully-random',
    ]);
  });

  it('follow the ports, address, interface and exclusions of FelixConfiguration', () => {
    const { settings: changed } = filterSettings({
      natPortRange: '1000:2000',
      natOutgoingAddress: '10.0.0.9',
      iptablesNATOutgoingInterfaceFilter: 'eth+',
      natOutgoingExclusions: 'IPPoolsAndHostIPs',
    });
    const which = 'ip saddr @masquerade4 ip daddr != @pools4 ip daddr != @encapsulators4 oifname "eth*"';
    expect(chain(whole({ pools: [inside], settings: changed }), 'nat-outgoing')).toEqual([
      `${which} meta l4proto { tcp, udp } snat ip to 10.0.0.9:1000-2000 fully-random`,
      `${which} snat ip to 10.0.0.9 fully-random`,
    ]);
  });

  it('leave packets between nodes untracked, and use the tunnel address for this node’s own (F-085, F-089)', () => {
    const tunnels = [
      { kind: 'ipip', address: '10.1.0.1' },
      { kind: 'vxlan4', address: undefined },
    ] as const;
    const lines = whole({ tunnels });
    for (const name of ['untracked-in', 'untracked-out'])
      expect(chain(lines, name)).toEqual(['meta l4proto 4 notrack', 'udp dport 4789 notrack']);
    expect(chain(lines, 'nat-outgoing')).toEqual([
      'oifname "tunl0" fib saddr type local ip saddr != 10.1.0.1 snat ip to 10.1.0.1',
    ]);
  });
});

describe('settings of the nftables table', () => {
  const wrong: [string, unknown][] = [
    ['natOutgoingAddress', 'fd00::1'],
    ['natOutgoingAddress', '127.0.0.1'],
    ['natOutgoingAddress', '224.0.0.1'],
    ['natOutgoingAddress', '255.255.255.255'],
    ['natOutgoingAddress', '10.0.0.1/24'],
    ['natOutgoingAddress', '10.0.0.9; flush ruleset'],
    ['natPortRange', '60000:50000'],
    ['natPortRange', '0:100'],
    ['natPortRange', '1:65536'],
    ['natPortRange', '1000:2000\nflush ruleset'],
    ['natPortRange', 0],
    ['natPortRange', 70000],
    ['iptablesNATOutgoingInterfaceFilter', 'e+th'],
    ['iptablesNATOutgoingInterfaceFilter', 'eth0" accept #'],
    ['iptablesNATOutgoingInterfaceFilter', 'a-name-of-17-char'],
    ['externalNodesList', ['10.0.0.0/33']],
    ['externalNodesList', ['10.0.0.1, 0.0.0.0/0']],
  ];
  const spec = (field: string, value: unknown) =>
    ({ [field]: value }) as Parameters<typeof filterSettings>[0];

  it.each(wrong)('%s %j is refused by the schema', (field, value) => {
    const object = {
      apiVersion: 'projectcalico.org/v3',
      kind: 'FelixConfiguration',
      metadata: { name: 'default' },
      spec: spec(field, value),
    };
    expect(felixConfigurationKind.schema.safeParse(object).success).toBe(false);
  });

  it.each(wrong)('%s %j is reported and counts as absent if it is stored anyway', (field, value) => {
    const parsed = filterSettings(spec(field, value));
    expect(parsed.problems).toEqual([
      { field, reason: expect.stringMatching(/^must be .*; it is ignored$/) },
    ]);
    const rules = { pools: [inside], settings: parsed.settings };
    const without = { pools: [inside], settings: filterSettings({}).settings };
    expect(whole(rules)).toEqual(whole(without));
  });

  it('a single port and any interface are accepted', () => {
    const { settings: changed, problems } = filterSettings({
      natPortRange: 5000,
      iptablesNATOutgoingInterfaceFilter: '+',
    });
    expect(problems).toEqual([]);
    expect(chain(whole({ pools: [inside], settings: changed }), 'nat-outgoing')).toEqual([
      'ip saddr @masquerade4 ip daddr != @pools4 meta l4proto { tcp, udp } masquerade to :5000-5000 fully-random',
      'ip saddr @masquerade4 ip daddr != @pools4 masquerade fully-random',
    ]);
  });
});
