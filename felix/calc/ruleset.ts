/**
 * Our nftables table: the guard, which is always there (guard/), and what pools and tunnels need (nat.ts). Pure. In three
 * forms, because what this kernel's nft refuses of one part must not take the other away.
 */
import { DEFAULT_VXLAN_PORT, DEFAULT_VXLAN_VNI } from '../../ipip/tunnel.ts';
import { guardTable } from './guard/guard.ts';
import type { GuardInput } from './guard/input.ts';
import { type NatInput, natTable } from './nat.ts';
import { renderTable } from './nft.ts';

export const TABLE = 'inet cali';

/** Lines for `nft -f`; each form is a complete table. */
export interface Ruleset {
  readonly guard: readonly string[];
  readonly whole: readonly string[];
  /** Without the guard: for a kernel that takes no guard. */
  readonly nat: readonly string[];
}

export interface RulesetInput
  extends NatInput,
    Pick<GuardInput, 'hosts' | 'neighbours' | 'ownBgpPorts' | 'peers' | 'spoofers'> {
  /** BGP addresses of the other nodes. */
  readonly others: readonly string[];
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
