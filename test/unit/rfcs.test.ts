/** RFCS.md is true as far as a program can see: the tests that it names exist, and cite the RFCs of their rows. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { updateCases } from './bgp/update-errors.cases.ts';

const root = path.resolve(import.meta.dirname, '../..');
const text = readFileSync(path.join(root, 'RFCS.md'), 'utf8');
const rows = (heading: RegExp) =>
  (text.split(heading)[1] ?? '')
    .split(/^## /m)[0]!
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2)
    .map((line) => line.split('|').map((cell) => cell.trim()));

/** Files by the name that a row has for them. */
const files = new Map<string, string[]>();
for (const folder of ['unit', 'integration', 'system', 'interop', 'fuzz']) {
  const base = path.join(root, 'test', folder);
  for (const file of readdirSync(base, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    const name = folder === 'interop' || folder === 'fuzz' ? folder : path.basename(file).split('.')[0]!;
    files.set(name, [...(files.get(name) ?? []), path.join(base, file)]);
  }
}

it.each(rows(/^# RFCs$/m).map((cells) => [cells[1]!, cells[5]!]))(
  'RFC %s is cited by the tests %s',
  (rfcs, names) => {
    const found = names.split(', ').map((name) => {
      expect(files.get(name), name).toBeDefined();
      return files.get(name)!;
    });
    const source = found
      .flat()
      .map((file) => readFileSync(file, 'utf8'))
      .join('\n');
    for (const rfc of rfcs.split(', ')) expect(source).toMatch(new RegExp(`\\b${rfc}\\b`));
  },
);

it('each clause in the table of UPDATE faults has a case', () => {
  const clauses = rows(/^## What a fault in an UPDATE costs .*$/m).flatMap((cells) => cells[5]!.split(', '));
  expect(clauses.length).toBeGreaterThan(30);
  const tested = updateCases.map(({ clause }) => clause);
  for (const clause of clauses)
    expect(
      tested.some((one) => one.startsWith(clause) || one.endsWith(` ${clause}`)),
      clause,
    ).toBe(true);
});
