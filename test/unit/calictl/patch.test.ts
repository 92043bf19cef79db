import { beforeEach, describe, expect, it } from 'vitest';
import { type PatchFlags, patch } from '../../../calictl/patch.ts';
import { bgpConfigurationKind } from '../../../datastore/schema/bgp-configuration.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { ipamConfigurationKind } from '../../../datastore/schema/ipam.ts';
import { MemoryApi } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

let store: MemoryApi;
let notes: string[];
beforeEach(async () => {
  store = new MemoryApi();
  notes = [];
  await store.create(ipPoolKind, ipPool('10.0.0.0/24', { natOutgoing: true }));
});

const run = (text: string, type: PatchFlags['type'] = 'strategic', kind = 'ippool', name = 'p') =>
  patch(store, kind, name, { patch: text, type }, (sentence) => notes.push(sentence));
const spec = async () => (await store.get(ipPoolKind, 'p'))?.spec;

describe('calictl patch', () => {
  it('changes the named fields, and null removes one', async () => {
    expect(await run('spec: {disabled: true, natOutgoing: null}')).toBe(
      "Successfully patched 1 'IPPool' resource",
    );
    expect(await spec()).toMatchObject({ cidr: '10.0.0.0/24', disabled: true, natOutgoing: false });
  });

  it('says when nothing changed', async () => {
    expect(await run('{"spec":{"natOutgoing":true}}')).toBe(
      "Successfully patched 1 'IPPool' resource (no change)",
    );
  });

  it('applies the operations of a JSON patch in order', async () => {
    await run(
      '[{"op":"test","path":"/spec/natOutgoing","value":true},{"op":"remove","path":"/spec/natOutgoing"}]',
      'json',
    );
    expect(await spec()).toMatchObject({ natOutgoing: false });
    await expect(run('[{"op":"test","path":"/spec/natOutgoing","value":true}]', 'json')).rejects.toThrow(
      "Failed to patch 'IPPool' resource p: ",
    );
  });

  it.each([
    ['[', 'strategic', '-p ['],
    ['', 'merge', 'must be an object as JSON or YAML'],
    ['5', 'merge', 'must be an object'],
    ['[]', 'merge', 'must be an object'],
    ['null', 'strategic', 'must be an object'],
    ['{}', 'json', '--type json requires a list'],
  ] as const)('refuses %j as a %s patch', async (text, type, sentence) => {
    await expect(run(text, type)).rejects.toThrow(sentence);
  });

  it.each([
    ['{"metadata":{"name":"q"}}', 'metadata.name: a patch cannot change this field'],
    ['{"metadata":{"uid":"q"},"kind":"X"}', 'kind, metadata.uid: a patch cannot change these fields'],
    ['{"apiVersion":null}', 'the patch would remove apiVersion, kind or metadata.name'],
    ['{"spec":{"frob":1}}', 'unknown field "spec.frob"'],
    ['{"spec":{"cidr":"x"}}', 'spec.cidr'],
    ['{"spec":{"ipipMode":"Always","vxlanMode":"Always"}}', 'spec.'],
  ])('refuses %s with the reason and changes nothing', async (text, reason) => {
    const before = await store.get(ipPoolKind, 'p');
    await expect(run(text)).rejects.toThrow(/^Failed to patch 'IPPool' resource p: /);
    await expect(run(text)).rejects.toThrow(reason);
    expect(await store.get(ipPoolKind, 'p')).toEqual(before);
  });

  it('removes an object of the spec with its last field, because an empty one has a different meaning', async () => {
    await store.create(bgpConfigurationKind, {
      apiVersion: 'projectcalico.org/v3',
      kind: 'BGPConfiguration',
      metadata: { name: 'default' },
      spec: { nodeMeshPassword: { secretKeyRef: { name: 's', key: 'k' } } },
    });
    await run('{"spec":{"nodeMeshPassword":{"secretKeyRef":null}}}', 'merge', 'bgpconfiguration', 'default');
    const stored = await store.get(bgpConfigurationKind, 'default');
    expect(stored?.spec).not.toHaveProperty('nodeMeshPassword');
  });

  it('warns about fields without effect, once', async () => {
    await store.create(ipamConfigurationKind, {
      apiVersion: 'projectcalico.org/v3',
      kind: 'IPAMConfiguration',
      metadata: { name: 'default' },
      spec: {},
    });
    await run('{"spec":{"ipCooldownSeconds":60}}', 'merge', 'ipamconfig', 'default');
    expect(notes).toEqual([
      expect.stringMatching(/^Warning: IPAMConfiguration default: .*ipCooldownSeconds/),
    ]);
  });

  it('of an object that does not exist fails', async () => {
    await expect(run('{"spec":{}}', 'merge', 'ippool', 'none')).rejects.toThrow(
      "Failed to patch 'IPPool' resource none: resource does not exist: IPPool(none)",
    );
  });
});
