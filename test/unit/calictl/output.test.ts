import { describe, expect, it } from 'vitest';
import {
  parseOutput,
  renderName,
  renderObjects,
  withoutServerFields,
  withTemplate,
} from '../../../calictl/output.ts';
import { nodeKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';

describe('the format after -o', () => {
  it.each([
    ['yml', { form: 'yaml' }],
    ['ps', { form: 'table', isWide: false }],
    ['table', { form: 'table', isWide: false }],
    ['wide', { form: 'table', isWide: true }],
    ['custom-columns=NAME,CIDR', { form: 'table', isWide: false, columns: ['NAME', 'CIDR'] }],
    ['go-template={{if eq .a "b=c"}}d{{end}}', { form: 'template', template: '{{if eq .a "b=c"}}d{{end}}' }],
    ['go-template-file=a=b', { form: 'template-file', file: 'a=b' }],
  ])('%s is understood', (text, output) => {
    expect(parseOutput(text)).toEqual(output);
  });

  it.each([
    ['custom-columns', 'need to specify at least one column'],
    ['custom-columns=', 'need to specify at least one column'],
    ['go-template=', 'need to specify a template'],
    ['go-template-file', 'need to specify a template file'],
    ['xml', "unrecognized output format 'xml': use ps, wide, yaml"],
    ['', "unrecognized output format ''"],
    ['yaml=x', "unrecognized output format 'yaml=x'"],
  ])('%s is refused with the remedy', (text, sentence) => {
    expect(() => parseOutput(text)).toThrow(sentence);
  });

  it('go-template-file is refused when the file cannot be read, and other formats need no file', async () => {
    await expect(withTemplate({ form: 'template-file', file: '/nowhere/t' })).rejects.toThrow(
      '/nowhere/t: cannot be read',
    );
    expect(await withTemplate({ form: 'name' })).toEqual({ form: 'name' });
  });
});

describe('objects as -o shows them', () => {
  const one = { kind: 'IPPool', metadata: { name: 'a' } };

  it('a named object is shown alone, several as an array, and a kind as its list', () => {
    const json = (shown: Parameters<typeof renderObjects>[0]) =>
      JSON.parse(renderObjects(shown, { form: 'json' }));
    expect(json({ object: one })).toEqual(one);
    expect(json({ objects: [one, one] })).toEqual([one, one]);
    expect(json({ definition: ipPoolKind, items: [] })).toEqual({
      apiVersion: 'projectcalico.org/v3',
      kind: 'IPPoolList',
      metadata: {},
      items: [],
    });
  });

  it('a template receives an array in each case, and its last line break is not doubled', () => {
    const render = (shown: Parameters<typeof renderObjects>[0]) =>
      renderObjects(shown, { form: 'template', template: '{{range .}}{{.kind}}\n{{end}}' });
    expect(render({ object: one })).toBe('IPPool');
    expect(render({ objects: [one, one] })).toBe('IPPool\nIPPool');
    expect(render({ definition: ipPoolKind, items: [one] })).toBe('IPPoolList');
  });

  it('a name has the group of its kind, and core kinds have none', () => {
    expect(renderName(ipPoolKind, { ...one, apiVersion: '' })).toBe('ippool.projectcalico.org/a');
    expect(renderName(nodeKind, { ...one, apiVersion: '' })).toBe('node/a');
  });
});

describe('metadata that the server wrote', () => {
  const metadata = {
    name: 'a',
    labels: { b: 'c' },
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: 't',
    managedFields: [{}],
  };

  it('is shown without managedFields', () => {
    const { managedFields: _, ...shown } = metadata;
    expect(withoutServerFields({ metadata, spec: {} }, false)).toEqual({ metadata: shown, spec: {} });
  });

  it('is omitted by --export, so that the object can be created in another cluster', () => {
    expect(withoutServerFields({ metadata, spec: {} }, true)).toEqual({
      metadata: { name: 'a', labels: { b: 'c' } },
      spec: {},
    });
  });

  it.each([null, 'text', {}, { metadata: null }, { metadata: 'x' }])('%j is shown as it is', (value) => {
    expect(withoutServerFields(value, true)).toEqual(value);
  });
});
