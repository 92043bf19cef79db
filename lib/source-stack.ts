/**
 * Stack traces with source positions. Programs are bundles with source maps next to them. Only this file reads the maps,
 * so they cost nothing until an error occurs.
 */
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Maximum number of frames to show. */
const MAX_FRAMES = 30;
/** Maximum length of a line. A line of a bundle can be the whole bundle. */
const MAX_LINE = 300;

const frame = /(file:\/\/[^\s()]+|\/[^\s():]+):(\d+):(\d+)/;

/** The lines of a stack, with source positions such as `agent/agent.ts:12:3`. Never throws. */
export function sourceStack(error: Error): string[] {
  const maps = new Map<string, SourceMap | undefined>();
  const lines = (typeof error.stack === 'string' ? error.stack : String(error)).split('\n');
  return lines.slice(0, MAX_FRAMES + 1).map((line) =>
    line
      .slice(0, MAX_LINE)
      .trim()
      .replace(frame, (position, file: string, row: string, column: string) => {
        if (!maps.has(file)) maps.set(file, mapOf(file));
        const entry = maps.get(file)?.findEntry(Number(row) - 1, Number(column) - 1);
        if (!entry || !('originalSource' in entry)) return position;
        const source = entry.originalSource.replace(/^(file:\/\/)?(\.\.?\/)*/, '');
        return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
      }),
  );
}

function mapOf(file: string): SourceMap | undefined {
  try {
    const path = file.startsWith('file:') ? fileURLToPath(file) : file;
    return new SourceMap(
      JSON.parse(readFileSync(`${path}.map`, 'utf8')) as ConstructorParameters<typeof SourceMap>[0],
    );
  } catch {
    return undefined;
  }
}
