/** docs/security.md names tests: each exists, under that title. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..', '..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const text = read('docs/security.md');
const named = [...text.matchAll(/`(test\/[^`]+\.ts)`(?:: "([^"]+)")?/g)].map(([, file, title]) => ({
  file: file!,
  title,
}));

describe('docs/security.md', () => {
  it('names only existing tests, by their titles', () => {
    expect(named.length).toBeGreaterThan(40);
    const missing = named.filter(
      ({ file, title }) =>
        !existsSync(path.join(root, file)) || (title !== undefined && !hasTitle(read(file), title)),
    );
    expect(missing).toEqual([]);
  });

  it('names every attack of test:hostile', () => {
    const titles = new Set(named.map(({ title }) => title));
    // Of the tree, not of the page: a file that the page forgets is the fault to find.
    const files = readdirSync(path.join(root, 'test/hostile'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => `test/hostile/${file}`);
    expect(files.length).toBeGreaterThan(5);
    const unnamed = files
      .flatMap((file) => titlesOf(read(file)))
      .filter(
        (title) => !titles.has(title) && title !== 'pods, nodes and sessions work as before the attacks',
      );
    expect(unnamed).toEqual([]);
  });

  it('is linked from README.md and SECURITY.md', () => {
    for (const file of ['README.md', 'SECURITY.md'])
      expect(read(file).includes('(docs/security.md)'), file).toBe(true);
  });
});

/** Titles of a test file: the first argument of `it(…)` and of `it.each(…)(…)`, over line breaks. */
function titlesOf(source: string): string[] {
  return [...source.matchAll(/^ *(?:it|it\.each\([^;]*?\))\(\s*(['"`])(.+?)\1,/gms)].map(
    ([, , title]) => title!,
  );
}

function hasTitle(source: string, title: string): boolean {
  return titlesOf(source).includes(title);
}
