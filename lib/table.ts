/** Text tables: calicoctl's boxes, and kubectl's plain columns. */

/** Rows in a box of `+---+`, header in upper case, as calicoctl prints them. */
export function boxTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header.map((cell) => cell.toUpperCase()), ...rows];
  const widths = widthsOf(all);
  const line = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const print = (cells: readonly string[], isHeader: boolean) =>
    `|${cells.map((cell, i) => ` ${isHeader ? center(cell, widths[i]!) : cell.padEnd(widths[i]!)} `).join('|')}|`;
  return [line, print(all[0]!, true), line, ...rows.map((row) => print(row, false)), line].join('\n');
}

/** Columns separated by three spaces. */
export function plainTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = widthsOf(all);
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}

function widthsOf(rows: readonly (readonly string[])[]): number[] {
  return rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
}

function center(text: string, width: number): string {
  const left = Math.floor((width - text.length) / 2);
  return text.padStart(text.length + left).padEnd(width);
}
