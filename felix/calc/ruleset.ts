/**
 * Our nftables table: the guard, which is always there (guard/), and what pools and tunnels need (nat.ts). Pure. In three
 * forms, because what this kernel's nft refuses of one part must not take the other away.
 */
import type { IPPool } from '../../datastore/schema/ip-pool.ts';
import { DEFAULT_VXLAN_PORT, DEFAULT_VXLAN_VNI, type TunnelKind } from '../../ipip/tunnel.ts';
import type { FilterSettings } from './filter-settings.ts';
import { guardTable } from './guard/guard.ts';
import type { GuardHost, GuardPeer, GuardSpoofer } from './guard/input.ts';
import { natTable } from './nat.ts';
import { renderTable } from './nft.ts';

export const TABLE = 'inet cali';

/** Lines for `nft -f`; each form is a complete table. */
export interface Ruleset {
  readonly guard: readonly string[];
  readonly whole: readonly string[];
  /** Without the guard: for a kernel that takes no guard. */
  readonly nat: readonly string[];
}

export interface RulesetInput {
  readonly hosts: readonly GuardHost[];
  /** BGP addresses of the other nodes. */
  readonly others: readonly string[];
  /** Addresses of nodes on this node's link whose packets arrive with TTL 255. */
  readonly neighbours: readonly string[];
  readonly ownBgpPorts: readonly number[];
  readonly peers: readonly GuardPeer[];
  readonly spoofers: readonly GuardSpoofer[];
  readonly pools: readonly IPPool[];
  /** Tunnel devices of this node, with its address in each. */
  readonly tunnels: readonly { readonly kind: TunnelKind; readonly address: string | undefined }[];
  readonly settings: FilterSettings;
}

export function ruleset(input: RulesetInput): Ruleset {
  const { settings } = input;
  const guard = guardTable({
    ...input,
    ...settings,
    encapsulators: [...input.others, ...settings.externalNodes],
    spoofers: settings.allowsSpoofing ? input.spoofers : [],
    tunnels: input.tunnels.map(({ kind }) => kind),
    isClusterKnown: true,
  });
  const nat = natTable(input);
  const asked = guard.sets.filter(({ name }) => /^encapsulators[46]$/.test(name));
  return {
    guard: renderTable(TABLE, guard),
    nat: renderTable(TABLE, { sets: [...asked, ...nat.sets], chains: nat.chains }),
    whole: renderTable(TABLE, {
      sets: [...guard.sets, ...nat.sets],
      chains: [...guard.chains, ...nat.chains],
    }),
  };
}

/** The guard of a node that knows nothing of its cluster yet: for the time until the datastore is in sync. */
export function firstGuard(ownBgpPorts: readonly number[]): string[] {
  const table = guardTable({
    hosts: [],
    encapsulators: [],
    neighbours: [],
    ownBgpPorts,
    peers: [],
    spoofers: [],
    tunnels: [],
    isClusterKnown: false,
    vxlanPort: DEFAULT_VXLAN_PORT,
    vxlanVni: DEFAULT_VXLAN_VNI,
    allowsIpipFromPods: false,
    allowsVxlanFromPods: false,
  });
  return renderTable(TABLE, table);
}
