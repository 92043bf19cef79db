/**
 * Prometheus text of series that are read at each scrape. prom-client writes the same text, but hashes, checks and
 * escapes the labels of every value, which dominates the cost of a scrape with many peers.
 */

export type Labels = Readonly<Record<string, string>>;
export type Reading = readonly [labels: Labels, value: number];

export interface Series {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  /** Called once per scrape. Readings with equal labels add up. */
  readonly read: () => number | Iterable<Reading>;
}

/** Reads the series and returns its text. Throws what `read` throws, and for a value that the type cannot have. */
export function polledText({ name, help, labels = [], read }: Series, type: 'gauge' | 'counter'): string {
  const sums = new Map<string, number>();
  // Without labels, the series always has a value.
  if (labels.length === 0) sums.set('', 0);
  const readings = read();
  for (const [of, value] of typeof readings === 'number' ? [[{}, readings] as const] : readings) {
    if (!Number.isFinite(value) || (type === 'counter' && value < 0))
      throw new TypeError(`${name}: ${value} is not the value of a ${type}`);
    const text = labelText(of);
    sums.set(text, (sums.get(text) ?? 0) + value);
  }
  let lines = `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}`;
  for (const [text, value] of sums) lines += `\n${name}${text} ${value}`;
  return lines;
}

function labelText(labels: Labels): string {
  let text = '';
  for (const name in labels) text += `${text && ','}${name}="${escaped(labels[name]!)}"`;
  return text && `{${text}}`;
}

function escaped(value: string): string {
  if (!/[\\\n"]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}
