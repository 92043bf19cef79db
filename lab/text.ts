/** Pure functions that format text for a terminal of a given width. */

/** Ways to emphasise text. Without colour, they return the text unchanged. */
export interface Style {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly bold: (text: string) => string;
}

const sgr = (on: number, off: number) => (text: string) => `\u001B[${on}m${text}\u001B[${off}m`;
const same = (text: string) => text;

export const plain: Style = { good: same, bad: same, dim: same, bold: same };
export const coloured: Style = { good: sgr(32, 39), bad: sgr(31, 39), dim: sgr(2, 22), bold: sgr(1, 22) };

/** Breaks text between words into lines of at most `width` columns; a longer word gets a line to itself. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Formats a mark and a text whose further lines are indented like the first: `  ✓ text  (1.2 s)`. */
export function step(mark: string, text: string, seconds: string, width: number, style: Style): string {
  const room = width - 4;
  const lines = wrap(text, room);
  const time = `(${seconds} s)`;
  const last = lines.at(-1)!;
  if (last.length + 2 + time.length <= room) lines[lines.length - 1] = `${last}  ${style.dim(time)}`;
  else lines.push(style.dim(time));
  const colour = { '✓': style.good, '✗': style.bad }[mark] ?? style.dim;
  return lines.map((line, i) => `  ${i === 0 ? colour(mark) : ' '} ${line}`).join('\n');
}

/** Lists up to four names; of more, the first three and the number of the others. */
export function listed(names: readonly string[]): string {
  if (names.length <= 4) return names.join(', ');
  return `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
}

const ascii: Readonly<Record<string, string>> = { '✓': '+', '✗': 'x', '…': '...' };

/** Replaces the marks by ASCII, for a terminal whose locale names another character set. */
export function asciiOnly(text: string): string {
  return text.replace(/[✓✗…]/g, (mark) => ascii[mark]!);
}
