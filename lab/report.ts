/** What the lab prints. Pure: values in, text out. */
import { plainTable } from '../lib/table.ts';
import type { LabNode, LabPod } from './lab.ts';
import type { Probe } from './prober.ts';

/** Nodes with their addresses and their pods' addresses. */
export function nodeTable(nodes: readonly LabNode[], pods: readonly LabPod[]): string {
  const rows = nodes.map(({ name, addresses }) => {
    const own = pods.filter(({ node }) => node === name).map(({ addresses: [first] }) => first ?? '');
    const shown = own.length > 4 ? [...own.slice(0, 3), `… ${own.length - 3} more`] : own;
    return [name, [addresses.ipv4, addresses.ipv6].filter(Boolean).join(' '), shown.join(' ')];
  });
  return plainTable(['NODE', 'ADDRESSES', 'PODS'], rows);
}

/** Reachable of all ordered pairs, from the pods of a node (rows) to the pods of another and to the nodes. */
export function connectivityMatrix(
  nodes: readonly LabNode[],
  pods: readonly LabPod[],
  all: readonly Probe[],
  unreachable: readonly Probe[],
): string {
  const nodeOf = new Map(pods.map(({ name, node }) => [name, node]));
  const columnOf = ({ to }: Probe) => nodeOf.get(to) ?? 'nodes';
  const count = (probes: readonly Probe[], row: string, column: string) =>
    probes.filter((probe) => nodeOf.get(probe.from) === row && columnOf(probe) === column).length;
  const columns = [...nodes.map(({ name }) => name), 'nodes'];
  const rows = nodes.map(({ name }) => [
    name,
    ...columns.map((column) => {
      const total = count(all, name, column);
      const missing = count(unreachable, name, column);
      return total === 0 ? '-' : `${missing === 0 ? '✓' : '✗'} ${total - missing}/${total}`;
    }),
  ]);
  return plainTable(['FROM \\ TO', ...columns], rows);
}

/** Pairs that failed, a line each, at most twenty. */
export function failures(unreachable: readonly Probe[]): string {
  const lines = unreachable
    .slice(0, 20)
    .map(({ from, to, address }) => `  ✗ ${from} does not reach ${to} (${address})`);
  if (unreachable.length > 20) lines.push(`  … and ${unreachable.length - 20} more`);
  return lines.join('\n');
}

/** What to try next. */
export function suggestions(nodes: readonly LabNode[]): string {
  const [first, second] = nodes.map(({ name }) => name);
  const other = second ?? first;
  const commands = [
    [`exec ${first} calictl node status`, `the BGP sessions of ${first}`],
    [`exec ${first} ip route`, 'what felix has programmed'],
    [`exec ${first} calictl get ippools -o wide`, 'where addresses come from'],
    [`pod add ${other} web`, 'one more pod'],
    [`node kill ${other}`, 'SIGKILL its agent: traffic goes on'],
    [`node start ${other}`, 'and it comes back'],
    ['matrix', 'everything to everything, again'],
  ];
  return [
    'The lab is up; Ctrl-C ends it and leaves nothing. In another terminal:',
    '',
    ...plainTable(
      ['', ''],
      commands.map(([command, what]) => [`  npm run lab -- ${command}`, what!]),
    )
      .split('\n')
      .slice(1),
  ].join('\n');
}
