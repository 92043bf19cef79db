/** Text tables: calicoctl's boxes and kubectl's plain columns, with control characters in cells escaped. */
import { printable } from './plain-text.ts';

/** Rows in a box of `+---+`, header in upper case, as calicoctl prints them. */
export function boxTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = printableRows([header.map((cell) => cell.toUpperCase()), ...rows]);
  const widths = widthsOf(all);
  const line = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const print = (cells: readonly string[], isHeader: boolean) =>
    `|${cells.map((cell, i) => ` ${isHeader ? center(cell, widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)} `).join('|')}|`;
  const [head = [], ...body] = all;
  return [line, print(head, true), line, ...body.map((row) => print(row, false)), line].join('\n');
}

const GAP = '   ';

/** Columns separated by three spaces. Cells of a table wider than `columns` are folded at spaces and after commas. */
export function plainTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  columns = Number.POSITIVE_INFINITY,
): string {
  const all = printableRows([header, ...rows]);
  const limits = fittedWidths(all, columns);
  const lines = all.flatMap((row) => linesOf(row, limits));
  const widths = widthsOf(lines);
  return lines
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join(GAP)
        .trimEnd(),
    )
    .join('\n');
}

/** Folds the cells of a row. Returns the cells of its lines. */
function linesOf(row: readonly string[], limits: readonly number[]): (readonly string[])[] {
  if (row.every((cell, i) => cell.length <= limits[i]!)) return [row];
  const cells = row.map((cell, i) => fold(cell, limits[i]!));
  const height = cells.reduce((most, { length }) => Math.max(most, length), 1);
  return Array.from({ length: height }, (_, line) => cells.map((folded) => folded[line] ?? ''));
}

/** Splits a text into lines of at most `width` characters, at spaces and after commas. Longer words stay whole. */
export function fold(text: string, width: number): string[] {
  if (text.length <= width) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of wordsOf(text)) {
    if (line !== '' && (line + word).trimEnd().length > width) {
      lines.push(line.trimEnd());
      line = '';
    }
    line = line === '' ? word.trimStart() : line + word;
  }
  return [...lines, line.trimEnd()];
}

/** Returns the words of a text, each with the space or comma that follows it. */
function wordsOf(text: string): string[] {
  return text.split(/(?<=[ ,])/);
}

function printableRows(rows: readonly (readonly string[])[]): string[][] {
  return rows.map((row) => row.map((cell) => printable(cell)));
}

function widthsOf(rows: readonly (readonly string[])[]): number[] {
  return rows[0]!.map((_, i) => rows.reduce((width, row) => Math.max(width, row[i]!.length), 0));
}

/** Returns widths that fit; the natural ones if long words prevent that. The widest columns shrink first. */
function fittedWidths(rows: readonly (readonly string[])[], columns: number): number[] {
  const total = (all: readonly number[]) =>
    all.reduce((sum, width) => sum + width, GAP.length * (all.length - 1));
  const widths = widthsOf(rows);
  if (total(widths) <= columns) return widths;
  const least = widthsOf(rows.map((row) => row.map(longestWord)));
  if (total(least) > columns) return widths;
  for (let excess = total(widths) - columns; excess > 0; excess--) {
    const widest = widths.reduce(
      (best, width, i) => (width > least[i]! && width > (widths[best] ?? 0) ? i : best),
      -1,
    );
    widths[widest]!--;
  }
  return widths;
}

function longestWord(text: string): string {
  return wordsOf(text).reduce((longest, word) => {
    const trimmed = word.trimEnd();
    return trimmed.length > longest.length ? trimmed : longest;
  }, '');
}

function center(text: string, width: number): string {
  const left = Math.floor((width - text.length) / 2);
  return text.padStart(text.length + left).padEnd(width);
}
