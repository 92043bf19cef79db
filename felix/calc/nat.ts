/** Cali's nftables rules for NAT, and for packets that conntrack should ignore (Calico F-084, F-085, F-089). */
import type { IPPool } from '../../datastore/schema/ip-pool.ts';
import { canonicalCidr, type Family, familyOf } from '../../lib/cidr.ts';
import { type TunnelKind, tunnels } from '../../model/tunnel.ts';
import type { FilterSettings } from './filter-settings.ts';
import type { NftChain, NftSet, NftTable } from './nft.ts';

export interface NatInput {
  readonly pools: readonly IPPool[];
  /** Tunnel devices of this node, with its address in each. */
  readonly tunnels: readonly { readonly kind: TunnelKind; readonly address: string | undefined }[];
  readonly settings: FilterSettings;
}

const families = [4, 6] as const;

/**
 * Returns the sets and chains for NAT. Filter chains without rules are omitted, because each chain costs the kernel
 * time. The NAT chain is always present: without one, the kernel stops translating existing connections, and their
 * replies collide with old entries and are dropped.
 */
export function natTable(input: NatInput): NftTable {
  const filters: NftChain[] = [
    { name: 'untracked-in', hook: 'filter hook prerouting priority raw', rules: untracked(input) },
    { name: 'untracked-out', hook: 'filter hook output priority raw', rules: untracked(input) },
  ];
  return {
    sets: families.flatMap((family) => poolSets(family, input)),
    chains: [
      ...filters.filter(({ rules }) => rules.length > 0),
      { name: 'nat-outgoing', hook: 'nat hook postrouting priority srcnat', rules: natRules(input) },
    ],
  };
}

/** Returns the pools with addresses for pods. Calico also masquerades LoadBalancer pools (F-044); Cali need not. */
export function podPools(pools: readonly IPPool[]): IPPool[] {
  return pools.filter(({ spec }) => !spec.allowedUses.includes('LoadBalancer'));
}

function cidrsOf(pools: readonly IPPool[]): string[] {
  return pools.flatMap(({ spec }) => canonicalCidr(spec.cidr) ?? []);
}

function poolSets(family: Family, { pools }: NatInput): NftSet[] {
  const set = (name: string, chosen: readonly IPPool[]): NftSet => ({
    name: `${name}${family}`,
    type: `ipv${family}_addr`,
    isInterval: true,
    elements: cidrsOf(chosen).filter((cidr) => familyOf(cidr) === family),
  });
  const ofPods = podPools(pools);
  return [
    set('pools', ofPods),
    set(
      'masquerade',
      ofPods.filter(({ spec }) => spec.natOutgoing),
    ),
  ];
}

/** Keeps tunnel packets out of conntrack, which tracks the packets inside them. */
function untracked({ tunnels: own, settings }: NatInput): string[] {
  const isVxlan = own.some(({ kind }) => kind !== 'ipip');
  return [
    ...(own.some(({ kind }) => kind === 'ipip') ? ['meta l4proto 4 notrack'] : []),
    ...(isVxlan ? [`udp dport ${settings.vxlanPort} notrack`] : []),
  ];
}

function natRules(input: NatInput): string[] {
  return [...ownSourceRules(input), ...families.flatMap((family) => masqueradeRules(family, input))];
}

/** Rewrites other source addresses of local programs to the tunnel's, because their replies would bypass the tunnel. */
function ownSourceRules({ tunnels: own }: NatInput): string[] {
  return own.flatMap(({ kind, address }) => {
    if (!address) return [];
    const { device, family } = tunnels[kind];
    const ip = family === 4 ? 'ip' : 'ip6';
    return [`oifname "${device}" fib saddr type local ${ip} saddr != ${address} snat ${ip} to ${address}`];
  });
}

function masqueradeRules(family: Family, { pools, settings: { nat } }: NatInput): string[] {
  if (!podPools(pools).some(({ spec }) => spec.natOutgoing && familyOf(spec.cidr) === family)) return [];
  const ip = family === 4 ? 'ip' : 'ip6';
  const which = [
    `${ip} saddr @masquerade${family} ${ip} daddr != @pools${family}`,
    // The set has only BGP addresses and externalNodesList: a kubelet can put any address into its Node's status.
    nat.excludesHosts ? `${ip} daddr != @encapsulators${family}` : '',
    outgoing(nat.interface),
  ]
    .filter(Boolean)
    .join(' ');
  const fixed = family === 4 ? nat.address : undefined;
  const verb = (ports: string) =>
    fixed ? `snat ip to ${fixed}${ports}` : `masquerade${ports && ` to ${ports}`}`;
  const plain = `${which} ${verb('')} fully-random`;
  if (!nat.ports) return [plain];
  // Only these protocols have ports.
  const ports = `:${nat.ports.low}-${nat.ports.high}`;
  return [`${which} meta l4proto { tcp, udp } ${verb(ports)} fully-random`, plain];
}

function outgoing(pattern: FilterSettings['nat']['interface']): string {
  // A pattern that matches every name adds no condition.
  if (!pattern || pattern.name === '') return '';
  return `oifname "${pattern.name}${pattern.isPrefix ? '*' : ''}"`;
}
