/**
 * Our nftables table, as lines for `nft -f` (Calico 3.5): who may send us encapsulated packets, what pods may not send,
 * and masquerading towards the world. Pure; no line means that no table is needed.
 */
import type { IPPool } from '../../datastore/schema/ip-pool.ts';
import { type TunnelKind, tunnels } from '../../ipip/tunnel.ts';
import { type Family, familyOf, hostCidr } from '../../lib/cidr.ts';
import { INTERFACE_PREFIX } from '../endpoint.ts';
import type { NodeInfo } from './topology.ts';

export const TABLE = 'inet cali';

/** Of FelixConfiguration (Calico 1.10). */
export interface FilterSettings {
  /** Further addresses that may send encapsulated packets, as CIDRs. */
  readonly externalNodes: readonly string[];
  readonly allowsIpipFromPods: boolean;
  readonly allowsVxlanFromPods: boolean;
  readonly vxlanPort: number;
  readonly vxlanVni: number;
  /** Ports to masquerade to, `low-high`. */
  readonly natPorts: string | undefined;
  /** Fixed IPv4 source address in place of the outgoing interface's. */
  readonly natAddress: string | undefined;
  /** Pods reach nodes with their own addresses too. */
  readonly excludesHosts: boolean;
  /** Masquerade only what leaves by this interface; a trailing `+` stands for anything. */
  readonly natInterface: string | undefined;
}

export interface RulesetInput {
  readonly nodes: readonly NodeInfo[];
  readonly pools: readonly IPPool[];
  /** Tunnel devices of this node, with its address in each. */
  readonly tunnels: readonly { readonly kind: TunnelKind; readonly address: string | undefined }[];
  readonly settings: FilterSettings;
}

export function ruleset(input: RulesetInput): string[] {
  const isMasquerading = input.pools.some(({ spec }) => spec.natOutgoing && isForPods(spec));
  if (input.tunnels.length === 0 && !isMasquerading) return [];
  return [
    `table ${TABLE} {`,
    ...([4, 6] as const).flatMap((family) => sets(family, input)),
    ...chain('input', 'filter hook input priority filter', inputRules(input)),
    ...chain('from-pods', 'filter hook prerouting priority raw', [...podRules(input), ...untracked(input)]),
    ...chain('to-nodes', 'filter hook output priority raw', untracked(input)),
    ...chain('nat-outgoing', 'nat hook postrouting priority srcnat', natRules(input)),
    '}',
  ];
}

function chain(name: string, type: string, rules: readonly string[]): string[] {
  return [
    `  chain ${name} {`,
    `    type ${type}; policy accept;`,
    ...rules.map((rule) => `    ${rule}`),
    '  }',
  ];
}

/** Pools for load balancers hold no pods (Calico F-044 keeps their masquerading, which needs none here). */
function isForPods({ allowedUses }: IPPool['spec']): boolean {
  return !allowedUses.includes('LoadBalancer');
}

function sets(family: Family, { nodes, pools, settings }: RulesetInput): string[] {
  const of = (cidrs: readonly string[]) => cidrs.filter((cidr) => familyOf(cidr) === family);
  const ofPods = pools.filter(({ spec }) => isForPods(spec));
  const set = (name: string, cidrs: readonly string[]) => {
    const elements = [...new Set(of(cidrs))].sort();
    const body = elements.length > 0 ? ` elements = { ${elements.join(', ')} };` : '';
    return `  set ${name}${family} { type ipv${family}_addr; flags interval; auto-merge;${body} }`;
  };
  return [
    set('nodes', [
      ...nodes.flatMap(({ addresses }) => Object.values(addresses).map(({ address }) => hostCidr(address))),
      ...settings.externalNodes,
    ]),
    set(
      'pools',
      ofPods.map(({ spec }) => spec.cidr),
    ),
    set(
      'masquerade',
      ofPods.filter(({ spec }) => spec.natOutgoing).map(({ spec }) => spec.cidr),
    ),
  ];
}

/** Encapsulated packets come from nodes alone (F-080, F-070); of VXLAN only our own network is judged. */
function inputRules({ tunnels: own, settings }: RulesetInput): string[] {
  return own.map(({ kind }) => {
    const { family } = tunnels[kind];
    const source = family === 4 ? 'ip saddr != @nodes4' : 'ip6 saddr != @nodes6';
    if (kind === 'ipip') return `meta l4proto 4 ${source} counter drop`;
    // The VNI: 24 bits, behind 8 octets of UDP and 4 of flags.
    return `udp dport ${settings.vxlanPort} @th,96,24 ${settings.vxlanVni} ${source} counter drop`;
  });
}

/** A pod must not forge what a node would take for another node's packet (F-082). */
function podRules({ settings }: RulesetInput): string[] {
  const from = `iifname "${INTERFACE_PREFIX}*"`;
  return [
    ...(settings.allowsIpipFromPods ? [] : [`${from} meta l4proto 4 counter drop`]),
    ...(settings.allowsVxlanFromPods ? [] : [`${from} udp dport ${settings.vxlanPort} counter drop`]),
  ];
}

/** What goes between nodes is not one connection each: the packets inside are tracked (F-089). */
function untracked({ tunnels: own, settings }: RulesetInput): string[] {
  const isVxlan = own.some(({ kind }) => kind !== 'ipip');
  return [
    ...(own.some(({ kind }) => kind === 'ipip') ? ['meta l4proto 4 notrack'] : []),
    ...(isVxlan ? [`udp dport ${settings.vxlanPort} notrack`] : []),
  ];
}

/** F-084, F-085. */
function natRules({ tunnels: own, settings, pools }: RulesetInput): string[] {
  const rules: string[] = [];
  for (const { kind, address } of own) {
    const { device, family } = tunnels[kind];
    const ip = family === 4 ? 'ip' : 'ip6';
    // A program of this node that has chosen another source address: its answers would not come back by the tunnel.
    if (address)
      rules.push(
        `oifname "${device}" fib saddr type local ${ip} saddr != ${address} snat ${ip} to ${address}`,
      );
  }
  for (const family of [4, 6] as const) {
    if (!pools.some(({ spec }) => spec.natOutgoing && familyOf(spec.cidr) === family)) continue;
    const ip = family === 4 ? 'ip' : 'ip6';
    const which = [
      `${ip} saddr @masquerade${family} ${ip} daddr != @pools${family}`,
      settings.excludesHosts ? `${ip} daddr != @nodes${family}` : '',
      settings.natInterface ? `oifname "${settings.natInterface.replace(/\+$/, '*')}"` : '',
    ]
      .filter(Boolean)
      .join(' ');
    const fixed = family === 4 ? settings.natAddress : undefined;
    const ports = settings.natPorts ? `:${settings.natPorts}` : '';
    const verb = fixed ? `snat ip to ${fixed}${ports}` : `masquerade${ports && ` to ${ports}`}`;
    // A range of ports is for protocols that have ports.
    if (ports) rules.push(`${which} meta l4proto { tcp, udp } ${verb} fully-random`);
    rules.push(`${which} ${fixed ? `snat ip to ${fixed}` : 'masquerade'} fully-random`);
  }
  return rules;
}
