/** Generates docs/metrics.md from the series that the programs register and the rules in deploy/monitoring. */
import { programs, type SeriesInfo, seriesOf } from './metrics.ts';

interface Rule {
  readonly alert: string;
  readonly annotations?: { readonly summary?: string };
  readonly labels?: { readonly severity?: string };
}

const head = `# Metrics

Generated from the code by test/unit/monitoring.test.ts. Do not edit: run
\`npx vitest run --project unit test/unit/monitoring.test.ts -u\`.

Who may scrape, and where: [configuration](configuration.md#who-reaches-metrics). Call the scrape jobs \`cali-node\`,
\`cali-reflector\` and \`cali-controllers\`: the alerts look for them.

- Names, types, labels and values that begin with \`felix_\` or \`ipam_\` are Calico's: its dashboards work. Two of its
  counters, \`felix_int_dataplane_failures\` and \`ipam_allocations_gc_reclamations\`, have no \`_total\`;
  \`promtool check metrics\` reports only that.
- A session of the node-to-node mesh has two series, or three with BFD: a cluster of 100 nodes with both address families
  has 99 · 2 · 2 on each node. \`CALI_BGP_METRICS=Detailed\` of cali-node gives it the 16 of other sessions. Sums of all
  sessions are always there.
- \`peer_node\` is the name of the Node behind the address \`peer\`, and empty for a router or a pod.
- No label has a value that a peer or a pod's author can choose freely.
`;

export function metricsDocument(rules: readonly Rule[]): string {
  const byProgram = Object.entries(programs()).map(([name, registry]) => [name, seriesOf(registry)] as const);
  const isCommon = ({ name }: SeriesInfo) =>
    byProgram.every(([, list]) => list.some((series) => series.name === name));
  const common = byProgram[0]![1].filter(isCommon);
  const sections = byProgram.map(
    ([name, list]) => `## ${name}\n\n${table(list.filter((series) => !isCommon(series)))}`,
  );
  return [
    head,
    `## Every program\n\n${table(common)}`,
    ...sections,
    `## Alerts\n\ndeploy/monitoring/alerts.yaml; each has a scenario in test/helpers/alert-scenarios.ts that promtool runs.\n\n${alertTable(rules)}`,
  ].join('\n');
}

function table(list: readonly SeriesInfo[]): string {
  const rows = list
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, type, labels, help }) => [`\`${name}\``, type, labels.join(', '), help]);
  return markdown(['series', 'type', 'labels', 'meaning'], rows);
}

function alertTable(rules: readonly Rule[]): string {
  return markdown(
    ['alert', 'severity', 'summary'],
    rules.map(({ alert, labels, annotations }) => [
      alert,
      labels?.severity ?? '',
      (annotations?.summary ?? '')
        .replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, '$1')
        .replaceAll(/\{\{ \$value[^}]*\}\}/g, 'N'),
    ]),
  );
}

function markdown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |\n`;
  return `${line(header)}${line(widths.map((width) => '-'.repeat(width)))}${rows.map(line).join('')}`;
}
