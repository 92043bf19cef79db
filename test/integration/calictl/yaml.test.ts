import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { CalictlWorld } from '../../helpers/calictl.ts';

let world: CalictlWorld;
const warnings: Error[] = [];
const collect = (warning: Error) => void warnings.push(warning);
beforeAll(async () => {
  process.on('warning', collect);
  world = await CalictlWorld.start();
});
afterAll(async () => {
  process.off('warning', collect);
  await world.stop();
});

const head = 'apiVersion: projectcalico.org/v3\nkind: IPPool\n';
const pool = (spec: string, metadata = '{name: p1}') => `${head}metadata: ${metadata}\nspec: ${spec}\n`;

describe('calictl reads YAML as kubectl and calicoctl do', () => {
  it('accepts merge keys, aliases and the booleans of YAML 1.1, and prints text so that it stays text', async () => {
    const text = [
      pool(
        '{<<: {cidr: 10.99.0.0/16, natOutgoing: on}, natOutgoing: yes, disabled: off}',
        '&meta {name: p1, labels: {a: "on", b: yes, c: 1.5, d: 0777, e: ~}, annotations: {f: "1:30"}}',
      ),
      `${head}metadata:\n  <<: *meta\n  name: p2\nspec: {cidr: 10.98.0.0/16}\n`,
    ];
    const first = world.file('first.yaml', text[0]!);
    expect(await world.calictl('apply', '-f', first)).toMatchObject({ code: 0, err: '' });
    const labels = { a: 'on', b: 'true', c: '1.5', d: '511', e: '' };
    const stored = await world.client.get(ipPoolKind, 'p1');
    expect(stored).toMatchObject({ metadata: { labels }, spec: { natOutgoing: true, disabled: false } });
    const shown = await world.calictl('get', 'ippool', 'p1', '-o', 'yaml');
    expect(shown.out).toContain('a: "on"');
    expect(shown.out).toContain('f: "1:30"');
    expect(await world.calictl('replace', '-f', world.file('shown.yaml', shown.out))).toMatchObject({
      code: 0,
    });
    expect((await world.client.get(ipPoolKind, 'p1'))?.metadata.labels).toEqual(labels);
    const patched = await world.calictl('patch', 'ippool', 'p1', '-p', 'spec: {natOutgoing: no}');
    expect(patched).toMatchObject({ code: 0, err: '' });
    expect((await world.client.get(ipPoolKind, 'p1'))?.spec.natOutgoing).toBe(false);
    const list =
      'items:\n- &first {apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: p4}, spec: {cidr: 10.94.0.0/16}}\n';
    const more = '- {<<: *first, metadata: {name: p5}, spec: {cidr: 10.95.0.0/16}}\n';
    const merged = await world.calictl('apply', '-f', world.file('list.yaml', `kind: List\n${list}${more}`));
    expect(merged).toMatchObject({ code: 0, out: "Successfully applied 2 'IPPool' resource(s)\n", err: '' });
    // Anchors end with their document.
    const both = await world.calictl('apply', '-f', world.file('both.yaml', text.join('---\n')));
    expect(both.err).toMatch(/both\.yaml, document 2: line 9: alias \*meta has no anchor &meta before it\n$/);
  });

  it.each<[string, string, RegExp]>([
    [
      'an alias inside its own value',
      pool('&s {cidr: *s}'),
      /bad\.yaml: line 4: alias \*s refers to a value that contains it: remove it\n$/,
    ],
    [
      'a merge of itself',
      pool('&s {<<: *s}'),
      /bad\.yaml: line 4: alias \*s refers to a value that contains it/,
    ],
    ['a merge of a number', pool('{<<: 5}'), /bad\.yaml: .*[Mm]erge/],
    ['a key that is a map', pool('{? {a: 1} : 2}'), /bad\.yaml: line 4: a key has to be text/],
    [
      'aliases that multiply',
      [
        'a: &a [x, x]',
        ...'bcdefghij'.split('').map((one, at) => `${one}: &${one} [${`*${'abcdefghi'[at]}, `.repeat(9)}]`),
      ].join('\n'),
      /bad\.yaml: its aliases multiply too often/,
    ],
    ['brackets in brackets', '['.repeat(50_000), /bad\.yaml: line 1 is nested deeper than 100 levels/],
    ['a list in a list', '- '.repeat(50_000), /bad\.yaml: line 1 is nested deeper than 100 levels/],
  ])('refuses %s with a sentence', async (_, text, sentence) => {
    const { code, out, err } = await world.calictl('apply', '-f', world.file('bad.yaml', text));
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(sentence);
  });

  it.each([
    ['a value', `${pool('{cidr: 10.99.0.0/16}')}---\n${pool('\n  cidr: {{ .Values.cidr }}')}`, 10],
    ['a name', `${head}metadata:\n  name: {{ .Release.Name }}-pool\n`, 4],
    [
      'a condition',
      `# {{ comment }}\n{{- if .Values.pool }}\n${pool('{cidr: 10.99.0.0/16}')}{{- end }}\n`,
      2,
    ],
  ])('refuses a Helm template (%s) with one sentence', async (_, text, line) => {
    const file = world.file('template.yaml', text);
    expect(await world.calictl('apply', '-f', file)).toEqual({
      code: 1,
      out: '',
      err: `${file}: line ${line} has {{ }} of a template: render it first, such as with "helm template", or quote the value\n`,
    });
    expect(warnings).toEqual([]);
  });

  it('accepts quoted braces in an annotation', async () => {
    const file = world.file(
      'quoted.yaml',
      pool('{cidr: 10.97.0.0/16}', '{name: p3, annotations: {a: "{{ b }}"}}'),
    );
    expect(await world.calictl('apply', '-f', file)).toMatchObject({ code: 0, err: '' });
    expect((await world.client.get(ipPoolKind, 'p3'))?.metadata.annotations?.['a']).toBe('{{ b }}');
  });

  it.each<[string, string, RegExp]>([
    [
      'a label key __proto__',
      '{name: p, labels: {__proto__: x}}',
      /metadata\.labels: Invalid value: "__proto__": must be a name/,
    ],
    [
      'an annotation key __proto__',
      '{name: p, annotations: {__proto__: x}}',
      /metadata\.annotations: Invalid value: "__proto__": must be a name/,
    ],
    ['a field __proto__ of metadata', '{name: p, __proto__: {a: b}}', /unknown field "metadata\.__proto__"/],
    [
      'an unknown field of metadata',
      '{name: p, lables: {a: b}}',
      /unknown field "metadata\.lables": did you mean "labels"\?/,
    ],
    ['a number as a name', '{name: 5}', /IPPool \(no name\): metadata\.name: must be a string, not a number/],
    ['metadata without a name', '{labels: {a: b}}', /metadata\.name: is required/],
    [
      'a map as a label',
      '{name: p, labels: {a: {b: c}}}',
      /metadata\.labels\.a: must be a string, not an object/,
    ],
    ['labels in a list', '{name: p, labels: [a]}', /metadata\.labels: must be an object, not a list/],
    ['no metadata', '~', /has no metadata: write metadata\.name/],
  ])('refuses %s with a sentence', async (_, metadata, sentence) => {
    const file = world.file('metadata.yaml', pool('{cidr: 10.96.0.0/16}', metadata));
    const { code, out, err } = await world.calictl('apply', '-f', file);
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(sentence);
  });
});
