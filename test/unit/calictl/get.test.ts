import { beforeEach, describe, expect, it } from 'vitest';
import { type GetFlags, get, getDocuments } from '../../../calictl/get.ts';
import { bgpConfigurationKind } from '../../../datastore/schema/bgp-configuration.ts';
import { nodeKind, podKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { MemoryApi } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

let store: MemoryApi;
let notes: string[];
beforeEach(async () => {
  store = new MemoryApi();
  notes = [];
  for (const name of ['b', 'a']) await store.create(ipPoolKind, ipPool('10.0.0.0/24', {}, name));
});

const table: GetFlags['output'] = { form: 'table', isWide: false, columns: ['NAME', 'CIDR'] };
const run = (kind: string, names: string[], flags: Partial<GetFlags> = {}) =>
  get(store, kind, names, { output: table, ...flags }, (sentence) => notes.push(sentence));
const json = async (kind: string, names: string[], more: Partial<GetFlags> = {}) =>
  JSON.parse((await run(kind, names, { output: { form: 'json' }, ...more })).text);

describe('calictl get', () => {
  it('shows all objects of a kind, or the named ones in the order of their names', async () => {
    expect((await run('ippool', [])).text).toBe('NAME   CIDR\na      10.0.0.0/24\nb      10.0.0.0/24');
    expect((await run('ippool', ['b', 'a'])).text).toMatch(/^NAME.*\nb .*\na /);
  });

  it('shows one named object alone, several as an array, and a kind as a list', async () => {
    expect(await json('ippool', ['a'])).toMatchObject({ metadata: { name: 'a' } });
    expect(await json('ippool', ['a', 'b'])).toHaveLength(2);
    expect(await json('ippool', [])).toMatchObject({ kind: 'IPPoolList', items: [{}, {}] });
  });

  it('shows what exists and names what does not', async () => {
    expect(await run('ippool', ['none', 'a'])).toEqual({
      text: 'NAME   CIDR\na      10.0.0.0/24',
      failures: ['resource does not exist: IPPool(none)'],
    });
    expect(await json('ippool', ['none', 'a'])).toHaveLength(1);
  });

  it('shows nothing when nothing exists, and the same failure once', async () => {
    store.before = async () => {
      throw new Error('no answer');
    };
    expect(await run('ippool', ['x', 'y'])).toEqual({ text: '', failures: ['no answer'] });
  });

  it('omits an unreadable object from a table with a failure, and from names or YAML not', async () => {
    store.put(ipPoolKind, 'c', {
      apiVersion: 'projectcalico.org/v3',
      kind: 'IPPool',
      metadata: { name: 'c' },
      spec: { cidr: 'x' },
    });
    const { text, failures } = await run('ippool', []);
    expect(text.split('\n')).toHaveLength(3);
    expect(failures).toEqual([expect.stringMatching(/^IPPool c: spec\.cidr: /)]);
    expect((await run('ippool', [], { output: { form: 'name' } })).text.split('\n')).toHaveLength(3);
    expect((await json('ippool', [])).items).toHaveLength(3);
  });

  it('has a column for the namespace only when one is named, or all are', async () => {
    await store.create(podKind, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'default' },
      spec: { nodeName: 'n' },
    });
    const output: GetFlags['output'] = { form: 'table', isWide: false };
    expect((await run('wep', [], { output })).text).toMatch(/^WORKLOAD/);
    expect((await run('wep', [], { output, namespace: 'default' })).text).toMatch(/^NAMESPACE +WORKLOAD/);
    expect((await run('wep', [], { output, allNamespaces: true })).text).toMatch(/^NAMESPACE +WORKLOAD/);
  });

  it.each([
    ['ippool', [''], {}, 'resource name may not be empty'],
    ['ippool', [], { namespace: 'a' }, 'IPPool is not namespaced'],
    ['wep', ['a'], { allNamespaces: true }, '-A applies only to lists'],
    ['frob', [], {}, "resource type 'frob' is not supported"],
  ] as const)('%s %j with %j is refused', async (kind, names, flags, sentence) => {
    await expect(run(kind, [...names], flags)).rejects.toThrow(sentence);
  });

  it('--export omits what is specific to the cluster from named objects, not from lists', async () => {
    expect((await json('ippool', ['a'], { isExport: true })).metadata).toEqual({ name: 'a' });
    expect((await json('ippool', [], { isExport: true })).items[0].metadata).toHaveProperty('uid');
  });
});

describe('the AS number of a node without its own', () => {
  const asn = async () => {
    const output: GetFlags['output'] = { form: 'table', isWide: false, columns: ['ASN'] };
    return (await run('node', [], { output })).text.split('\n')[1];
  };
  beforeEach(() =>
    store.create(nodeKind, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n', annotations: { 'projectcalico.org/IPv4Address': '10.0.0.1/24' } },
    }),
  );

  it('is that of BGPConfiguration default, or 64512', async () => {
    expect(await asn()).toBe('(64512)');
    await store.create(bgpConfigurationKind, {
      apiVersion: 'projectcalico.org/v3',
      kind: 'BGPConfiguration',
      metadata: { name: 'default' },
      spec: { asNumber: 65_001 },
    });
    expect(await asn()).toBe('(65001)');
  });

  it('is unknown while BGPConfiguration default cannot be read', async () => {
    store.put(bgpConfigurationKind, 'default', {});
    expect(await asn()).toBe('(unknown)');
  });
});

it('objects in files are shown by kind, and in the namespace of the file or of -n', async () => {
  const document = (definition: typeof ipPoolKind | typeof podKind, name: string, namespace?: string) => ({
    definition,
    object: {
      apiVersion: 'v1',
      kind: definition.kind,
      metadata: { name, ...(namespace ? { namespace } : {}) },
    },
    place: 'file',
  });
  const flags: GetFlags = { output: { form: 'name' } };
  const shown = await getDocuments(
    store,
    [document(ipPoolKind, 'a'), document(ipPoolKind, 'none')],
    flags,
    () => {},
  );
  expect(shown).toEqual({
    text: 'ippool.projectcalico.org/a',
    failures: ['resource does not exist: IPPool(none)'],
  });
  expect(() =>
    getDocuments(store, [document(podKind, 'p', 'a')], { ...flags, namespace: 'b' }, () => {}),
  ).toThrow('metadata.namespace is a, but -n is b');
});
