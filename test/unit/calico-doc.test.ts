/** docs/calico.md says what the schemas say, and explains every fact of Calico that the source cites. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { calicoNodeKind, nodeFields } from '../../calictl/calico-node.ts';
import { fieldsOf, withTables } from '../../datastore/field-tables.ts';
import { jsonSchemaOf } from '../../datastore/json-schema.ts';
import { registry } from '../../datastore/registry.ts';
import { podAnnotations, QOS_PREFIX } from '../../datastore/schema/core.ts';
import { CALICO_GROUP, type ResourceDefinition } from '../../datastore/schema/resource.ts';

const root = path.resolve(import.meta.dirname, '..', '..');
const page = readFileSync(path.join(root, 'docs/calico.md'), 'utf8');
const section = (title: string) =>
  page.split(/^#{2,3} /m).find((text) => text.startsWith(`${title}\n`)) ?? '';

describe('docs/calico.md: fields', () => {
  it('has the tables that the schemas generate (npm run crds)', () => {
    expect(withTables(page)).toBe(page);
    expect(withTables('no place for tables')).toBeUndefined();
  });

  const kinds = registry.filter(({ group }) => group === CALICO_GROUP);
  it.each(kinds)(
    'marks a field of $kind as without effect exactly when its description does',
    (definition) => {
      const fields = fieldsOf(definition);
      const inert = fields.filter(({ state }) => state === 'without effect').map((field) => field.path);
      // What lies in a field without effect is described by what it would hold.
      const outer = fields.filter(
        (field) => !inert.some((one) => field.path.startsWith(`${one}.`) || field.path.startsWith(`${one}[`)),
      );
      for (const { path: field, state, description } of outer)
        expect(/without effect/.test(description), `${definition.kind} ${field}: ${description}`).toBe(
          state === 'without effect',
        );
    },
  );

  it('names every field of the Node', () => {
    const { properties } = jsonSchemaOf(calicoNodeKind as unknown as ResourceDefinition) as unknown as {
      properties: Record<'spec' | 'status', { properties: object }>;
    };
    const fields = [
      ...nodeFields.map((field) => field.path),
      ...Object.keys(properties.spec.properties)
        .filter((name) => name !== 'bgp')
        .map((name) => `spec.${name}`),
      ...Object.keys(properties.status.properties).map((name) => `status.${name}`),
    ];
    const table = section('Node');
    expect(fields.filter((field) => !table.includes(`| \`${field}\` `))).toEqual([]);
  });

  it('names every annotation of Pods', () => {
    const table = section('Annotations of Pods');
    const names = Object.values(podAnnotations).map((name) => name.split('/')[1]!);
    expect([...names, QOS_PREFIX].filter((name) => !table.includes(`\`${name}`))).toEqual([]);
  });

  it('lists counts of validation cases that add up', () => {
    const rows = [...section('Validation').matchAll(/^\| (\w+) +\| (\d+) +\| (\d+) +\|$/gm)];
    const [together, ...kindsOfCases] = rows.reverse();
    for (const column of [2, 3]) {
      const sum = kindsOfCases.reduce((total, row) => total + Number(row[column]), 0);
      expect(sum).toBe(Number(together![column]));
    }
    const reasons = [...section('Validation').matchAll(/^\| (\d+) +\|/gm)];
    const different = Number(together![2]) - Number(together![3]);
    expect(reasons.reduce((total, [, count]) => total + Number(count), 0)).toBe(different);
  });
});

describe('docs/calico.md: facts by code', () => {
  const files = repositoryFiles()
    .filter((file) => /\.(ts|md|c|mjs)$/.test(file))
    .filter((file) => !['docs/calico.md', 'test/unit/calico-doc.test.ts'].includes(file));
  const sources = files.map((file) => readFileSync(path.join(root, file), 'utf8'));
  const facts = section('Facts by code');

  it('has each code that the source cites, once, with its upstream file', () => {
    const cited = new Set(sources.flatMap(codesIn));
    expect(cited.size).toBeGreaterThan(80);
    const rows = [...facts.matchAll(/^\| ([BCFI]-\d{3}) +\| .+ \| (.*`.+`.*) \|$/gm)].map(
      ([, code]) => code!,
    );
    expect([...cited].filter((code) => !rows.includes(code)).sort()).toEqual([]);
    expect(rows.length).toBe(new Set(rows).size);
  });

  it('has each section that the source cites', () => {
    const cited = new Set(sources.flatMap(sectionsIn));
    expect(cited.size).toBeGreaterThan(20);
    const rows = [...facts.matchAll(/^\| ([\d., ]+?) +\|/gm)].flatMap(([, list]) => list!.split(', '));
    expect([...cited].filter((one) => !rows.includes(one)).sort()).toEqual([]);
  });
});

/** The files of the repository's folders and root, without hidden folders and what programs write. */
function repositoryFiles(): string[] {
  const folders = readdirSync(root, { withFileTypes: true }).filter(
    ({ name }) => !/^\.|^(node_modules|dist|coverage)$/.test(name),
  );
  return folders.flatMap((entry) =>
    entry.isDirectory()
      ? readdirSync(path.join(root, entry.name), { recursive: true, encoding: 'utf8' }).map(
          (file) => `${entry.name}/${file}`,
        )
      : [entry.name],
  );
}

/** `F-013`, and `B-020 to B-022` as three. */
function codesIn(text: string): string[] {
  return [...text.matchAll(/\b([BCFI])-(\d{3})\b(?: to [BCFI]-(\d{3})\b)?/g)].flatMap(
    ([, letter, first, last]) => {
      const [low, high] = [Number(first), Number(last ?? first)];
      return Array.from(
        { length: high - low + 1 },
        (_, i) => `${letter}-${String(low + i).padStart(3, '0')}`,
      );
    },
  );
}

/** `Calico 1.10`, `Calico reference 1.3 and 1.4`. */
function sectionsIn(text: string): string[] {
  const cited = text.matchAll(/Calico(?: reference)? (\d\.\d+(?:(?: and |, )\d\.\d+)*)(?![\d.])/g);
  return [...cited].flatMap(([, list]) => list!.split(/ and |, /));
}
