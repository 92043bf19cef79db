/** Text tables: calicoctl's boxes and kubectl's plain columns, with control characters in cells escaped. */
import { printable } from './plain-text.ts';

/** Rows in a box of `+---+`, header in upper case, as calicoctl prints them. */
export function boxTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = printableRows([header.map((cell) => cell.toUpperCase()), ...rows]);
  const widths = widthsOf(all);
  const line = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const print = (cells: readonly string[], isHeader: boolean) =>
    `|${cells.map((cell, i) => ` ${isHeader ? center(cell, widths[i]!) : cell.padEnd(widths[i]!)} `).join('|')}|`;
  const [head, ...body] = all;
  return [line, print(head!, true), line, ...body.map((row) => print(row, false)), line].join('\n');
}

/** Columns separated by three spaces. */
export function plainTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = printableRows([header, ...rows]);
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

function printableRows(rows: readonly (readonly string[])[]): string[][] {
  return rows.map((row) => row.map((cell) => printable(cell)));
}

function widthsOf(rows: readonly (readonly string[])[]): number[] {
  return rows[0]!.map((_, i) => rows.reduce((width, row) => Math.max(width, row[i]!.length), 0));
}

function center(text: string, width: number): string {
  const left = Math.floor((width - text.length) / 2);
  return text.padStart(text.length + left).padEnd(width);
}
