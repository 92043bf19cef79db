/**
 * Builds our nftables table: the guard, always present (guard/), and the rules for pools and tunnels (nat.ts). Pure.
 * There are three forms: if this kernel's nft refuses one part, the other part can still be loaded.
 */
import { DEFAULT_VXLAN_PORT, DEFAULT_VXLAN_VNI } from '../../model/tunnel.ts';
import { guardChains, guardTable } from './guard/guard.ts';
import type { GuardInput } from './guard/input.ts';
import { type NatInput, natTable } from './nat.ts';
import { renderTable } from './nft.ts';

export const TABLE = 'inet cali';

/** Identifies the table in the kernel (kernel/nftables.ts). */
export const ownTable = { name: TABLE, guardChains } as const;

/** Lines for `nft -f`. Each form is a complete table. */
export interface Ruleset {
  readonly guard: readonly string[];
  readonly whole: readonly string[];
  /** For a kernel that refuses the guard. */
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

/** Returns the guard to use until the datastore is in sync, when nothing is known of the cluster. */
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
