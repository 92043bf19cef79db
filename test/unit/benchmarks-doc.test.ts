import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../helpers/lab.ts';

it('docs/benchmarks.md names the commit of all figures', () => {
  const text = readFileSync(path.join(root, 'docs', 'benchmarks.md'), 'utf8');
  const sections = text.split(/^(?=#{2,3} )/m).slice(1);
  const withFigures = sections.filter((section) => /\d (ms|s|MB|Gbit)|\d \/ \d/.test(section));
  expect(withFigures.length).toBeGreaterThan(5);
  expect(
    withFigures
      .filter((section) => !/\bcommits? [0-9a-f]{7}/.test(section))
      .map((section) => section.split('\n')[0]),
  ).toEqual([]);
});
