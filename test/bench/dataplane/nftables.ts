/** A part of bench:dataplane: nftables through libnftables in this process, and through the program nft, in turns. */
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { filterSettings } from '../../../felix/calc/filter-settings.ts';
import { ruleset, TABLE } from '../../../felix/calc/ruleset.ts';
import { openLibnftables } from '../../../kernel/libnftables.ts';
import { programNft } from '../../../kernel/nft-program.ts';
import { openNftState } from '../../../kernel/nft-state.ts';
import type { Nft } from '../../../kernel/port.ts';

export const nftablesColumns = ['nftables', 'libnftables p50', 'p90', 'nft p50', 'p90'];

/** Rows of the table: each operation `runs` times. */
export async function nftablesRows(nodes: number, runs: number): Promise<string[][]> {
  const state = openNftState();
  const library = state && openLibnftables();
  if (!library) throw new Error('libnftables.so.1 is missing');
  const program = programNft();
  const lines = wholeTable(nodes);
  const replaced = [`table ${TABLE} {}`, `delete table ${TABLE}`, ...lines];
  const element = [
    `add element ${TABLE} encapsulators4 { 192.0.2.1 }`,
    `delete element ${TABLE} encapsulators4 { 192.0.2.1 }`,
  ];
  const operations: Record<string, (nft: Nft) => Promise<unknown>> = {
    [`replace the table for ${nodes.toLocaleString('en')} nodes`]: (nft) => demand(nft.load(replaced)),
    'list it': (nft) => nft.list(TABLE),
    'add and delete an element': (nft) => demand(nft.load(element)),
    'check a small table': (nft) => nft.check([`table ${TABLE} {}`]),
  };
  const rows: string[][] = [];
  await demand(library.load(replaced));
  for (const [name, operation] of Object.entries(operations)) {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let turn = 0; turn < runs; turn++) {
      ours.push(await timed(() => operation(library)));
      theirs.push(await timed(() => operation(program)));
    }
    rows.push([name, ...shown(ours), ...shown(theirs)]);
  }
  const questions: number[] = [];
  for (let turn = 0; turn < runs; turn++) questions.push(await timed(() => state.generation()));
  rows.push(['ask whether any table changed', ...shown(questions), '', '']);
  await demand(library.load([`delete table ${TABLE}`]));
  state.close();
  await library.close();
  return rows;
}

/** The whole table of a node in a cluster with VXLAN and a masquerading pool. */
function wholeTable(nodes: number): readonly string[] {
  const addresses = Array.from({ length: nodes }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  const pool = ipPoolKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name: 'pods' },
    spec: { cidr: '10.244.0.0/16', natOutgoing: true },
  });
  return ruleset({
    hosts: addresses.map((address) => ({ addresses: [address], bgpPorts: [179] })),
    others: addresses,
    neighbours: addresses,
    ownBgpPorts: [179],
    peers: [],
    spoofers: [],
    pools: [pool],
    tunnels: [{ kind: 'vxlan4', address: '10.244.0.0' }],
    settings: filterSettings({}).settings,
  }).whole;
}

async function demand(result: ReturnType<Nft['load']>): Promise<void> {
  const { ok, stderr } = await result;
  if (!ok) throw new Error(stderr);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

function shown(list: readonly number[]): string[] {
  const sorted = list.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
  return [0.5, 0.9].map((share) => `${at(share).toFixed(at(share) < 1 ? 2 : 1)} ms`);
}
