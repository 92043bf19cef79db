/** The lab's output, as pure functions from values to text that fits a width. */
import { familyOf } from '../lib/cidr.ts';
import { plainTable } from '../lib/table.ts';
import type { LabNode, LabPod } from './lab.ts';
import type { FlowReport, Probe } from './prober.ts';
import { plain, type Style, wrap } from './text.ts';

/** Returns a table of nodes with their addresses, and as many of their pods' addresses as fit. */
export function nodeTable(nodes: readonly LabNode[], pods: readonly LabPod[], width: number): string {
  const tableOf = (most: number) =>
    plainTable(
      ['NODE', 'ADDRESSES', 'PODS'],
      nodes.map(({ name, addresses: { ipv4, ipv6 } }) => {
        const own = pods.filter(({ node }) => node === name).map(({ addresses: [first] }) => first ?? '');
        const shown = own.length > most ? [...own.slice(0, most), `… ${own.length - most} more`] : own;
        return [name, [ipv4, ipv6].filter(Boolean).join(' '), shown.join(' ')];
      }),
    );
  const fits = [4, 3, 2, 1].map(tableOf).find((table) => widthOf(table) <= width);
  return fits ?? tableOf(1);
}

/** Returns the number of pairs of names; each pair has a probe per address family. */
export function countPairs(probes: readonly Probe[]): number {
  return new Set(probes.map(pairOf)).size;
}

/** `180 of 180 pairs, IPv4 and IPv6`. A pair counts when each of its addresses answered. */
export function describePairs(all: readonly Probe[], unreachable: readonly Probe[]): string {
  const total = countPairs(all);
  const families = new Set(all.map(({ address }) => familyOf(address)));
  const by = families.size > 1 ? ', IPv4 and IPv6' : '';
  return `${total - countPairs(unreachable)} of ${total} pairs${by}`;
}

/**
 * Returns a table of the pairs that reach each other, from the pods of each node (rows) to the pods of each node and to
 * the nodes (columns). Columns that do not fit are in further tables. Above sixteen nodes, only nodes with failures
 * appear.
 */
export function connectivityMatrix(
  nodes: readonly LabNode[],
  pods: readonly LabPod[],
  probes: { readonly all: readonly Probe[]; readonly unreachable: readonly Probe[] },
  width: number,
  style: Style = plain,
): string {
  const nodeOf = new Map(pods.map(({ name, node }) => [name, node]));
  const rowOf = ({ from }: Probe) => nodeOf.get(from) ?? '';
  const columnOf = ({ to }: Probe) => nodeOf.get(to) ?? 'nodes';
  const count = (list: readonly Probe[]) => {
    const pairs = new Map<string, Set<string>>();
    for (const probe of list) {
      const cell = `${rowOf(probe)} ${columnOf(probe)}`;
      pairs.set(cell, (pairs.get(cell) ?? new Set()).add(pairOf(probe)));
    }
    return (row: string, column: string) => pairs.get(`${row} ${column}`)?.size ?? 0;
  };
  const total = count(probes.all);
  const missing = count(probes.unreachable);
  const isShown = (name: string, columns: readonly string[]) =>
    nodes.length <= MANY_NODES || columns.some((other) => missing(name, other) + missing(other, name) > 0);
  const names = nodes.map(({ name }) => name);
  const rows = names.filter((name) => isShown(name, [...names, 'nodes']));
  if (rows.length === 0) return '';
  const columns = [...rows, 'nodes'];
  const cell = (row: string, column: string) => {
    const all = total(row, column);
    const lost = missing(row, column);
    return all === 0 ? '-' : `${lost === 0 ? '✓' : '✗'} ${all - lost}/${all}`;
  };
  const tableOf = (shown: readonly string[]) =>
    plainTable(
      ['FROM \\ TO', ...shown],
      rows.map((row) => [row, ...shown.map((column) => cell(row, column))]),
    );
  const tables: string[] = [];
  for (let rest = columns; rest.length > 0; ) {
    let taken = rest.length;
    while (taken > 1 && widthOf(tableOf(rest.slice(0, taken))) > width) taken--;
    tables.push(tableOf(rest.slice(0, taken)));
    rest = rest.slice(taken);
  }
  return tables
    .join('\n\n')
    .replaceAll('✓', style.good('✓'))
    .replaceAll(/✗ \S+/g, (text) => style.bad(text));
}

/** With more nodes, only those with failures are shown. */
const MANY_NODES = 16;

/** Returns a line for each failed pair, at most twenty. */
export function failures(unreachable: readonly Probe[]): string {
  const lines = unreachable
    .slice(0, 20)
    .map(({ from, to, address }) => `  ✗ ${from} does not reach ${to} (${address})`);
  if (unreachable.length > 20) lines.push(`  … and ${unreachable.length - 20} more`);
  return lines.join('\n');
}

/** Shorter stalls of the prober are normal. */
const STALL_MS = 200;

/** Returns a table of flows with their losses and, below it, the probes that the prober itself missed. */
export function flowTable(reports: readonly FlowReport[], width: number): string {
  if (reports.length === 0) return 'No flows are running: npm run lab -- flows start';
  const table = plainTable(
    ['FROM', 'TO', 'ADDRESS', 'SENT', 'LOST', 'IN A ROW'],
    reports.map(({ from, to, address, sent, lost, longestGap }) => [
      from,
      to,
      address,
      String(sent),
      String(lost),
      String(longestGap),
    ]),
  );
  const late = reports.reduce((worst, report) => (report.unsent > worst.unsent ? report : worst));
  if (late.longestStallMs < STALL_MS) return table;
  const seconds = (late.longestStallMs / 1000).toFixed(1);
  const sentence =
    `The prober itself stalled for up to ${seconds} s: ${late.unsent} probes of each flow were not sent. ` +
    'They do not count as lost, and an outage during that time goes unnoticed.';
  return [table, '', ...wrap(sentence, width)].join('\n');
}

/** Returns commands to try next. */
export function suggestions(nodes: readonly LabNode[], style: Style = plain): string {
  const [first, second] = nodes.map(({ name }) => name);
  const other = second ?? first;
  const commands = [
    [`exec ${first} calictl node status`, 'its BGP sessions'],
    [`exec ${first} ip route`, 'routes that felix programmed'],
    [`exec ${first} calictl get ippools`, 'pools of its addresses'],
    [`pod add ${other} web`, 'add a pod'],
    [`node kill ${other}`, 'kill its agent with SIGKILL'],
    [`node start ${other}`, 'start it again'],
    ['matrix', 'check all pairs again'],
  ];
  return [
    `${style.bold('The lab is up.')} Ctrl-C stops it and cleans up. In another terminal:`,
    '',
    ...plainTable(
      ['', ''],
      commands.map(([command, what]) => [`  npm run lab -- ${command}`, what!]),
    )
      .split('\n')
      .slice(1),
  ].join('\n');
}

function pairOf({ from, to }: Probe): string {
  return `${from} ${to}`;
}

function widthOf(table: string): number {
  return Math.max(...table.split('\n').map((line) => line.length));
}
