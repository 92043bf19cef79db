import { beforeEach, describe, expect, it } from 'vitest';
import { type Access, accessTo } from '../../../calictl/access.ts';
import { calicoNodeKind } from '../../../calictl/calico-node.ts';
import { workloadEndpointKind } from '../../../calictl/workload-endpoint.ts';
import { nodeKind, podKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import type { AnyResource, ResourceDefinition } from '../../../datastore/schema/resource.ts';
import { MemoryApi } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

let store: MemoryApi;
let notes: string[];
beforeEach(() => {
  store = new MemoryApi();
  notes = [];
});

const access = (kind: ResourceDefinition): Access =>
  accessTo(store, kind, (sentence) => notes.push(sentence));
const metadata = (object: unknown) => (object as AnyResource).metadata;
const node = (name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { rack: 'a' }, ...more },
});
const calicoNode = (spec: object, more: object = {}) => ({
  apiVersion: 'projectcalico.org/v3',
  kind: 'Node',
  metadata: { name: 'n', ...more },
  spec,
});

describe('objects of a kind that the API stores', () => {
  it('are listed by name, and those without a readable name come first', async () => {
    for (const name of ['b', 'a', 'a-b', 'a.b'])
      await store.create(ipPoolKind, ipPool('10.0.0.0/24', {}, name));
    store.put(ipPoolKind, 'nameless', { spec: {} });
    const list = await access(ipPoolKind).list(undefined);
    expect(list.map((one) => metadata(one)?.name)).toEqual([undefined, 'a', 'a-b', 'a.b', 'b']);
  });

  it('are created without what the server of another cluster wrote', async () => {
    const pool = ipPool('10.0.0.0/24');
    const foreign = { uid: 'u', resourceVersion: '999', creationTimestamp: '2026-01-01T00:00:00Z' };
    await access(ipPoolKind).create({ ...pool, metadata: { ...pool.metadata, ...foreign } });
    const stored = store.all(ipPoolKind)[0]?.metadata;
    expect(stored?.uid).not.toBe('u');
    expect(stored?.resourceVersion).toBe('1');
    expect(stored).not.toHaveProperty('creationTimestamp');
  });

  it('get the labels and annotations of the file, and keep finalizers, owners and version', () => {
    const stored = {
      finalizers: ['f'],
      labels: { old: '1' },
      annotations: { old: '1' },
      resourceVersion: '7',
    };
    const pool = ipPool('10.0.0.0/24');
    const merged = access(ipPoolKind).merged(
      { ...pool, metadata: { name: 'p', labels: { new: '2' }, resourceVersion: '3' } },
      { ...pool, metadata: { name: 'p', ...stored } },
    );
    expect(merged.metadata).toEqual({
      name: 'p',
      finalizers: ['f'],
      resourceVersion: '7',
      labels: { new: '2' },
      annotations: undefined,
    });
  });

  it('of core kinds also keep labels and annotations that the file lacks', () => {
    const merged = access(podKind).merged(
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', labels: { a: '2' } } },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'p', labels: { a: '1', b: '1' }, annotations: { c: '1' } },
      },
    );
    expect(merged.metadata).toMatchObject({ labels: { a: '2', b: '1' }, annotations: { c: '1' } });
  });
});

describe('the Node of Calico', () => {
  it('is derived from the core Node, also in lists', async () => {
    await store.create(nodeKind, node('n'));
    const { get, list } = access(calicoNodeKind);
    expect(await get('n', undefined)).toMatchObject({ apiVersion: 'projectcalico.org/v3' });
    expect(await list(undefined)).toMatchObject([{ apiVersion: 'projectcalico.org/v3' }]);
    expect(await get('none', undefined)).toBeUndefined();
  });

  it('that cannot be read is named', async () => {
    store.put(nodeKind, 'broken', node('broken', { annotations: { a: 5 } }));
    await store.create(nodeKind, node('n'));
    expect((await access(calicoNodeKind).list(undefined)).map((one) => metadata(one).name)).toEqual(['n']);
    expect(notes).toEqual([expect.stringMatching(/^Node broken: metadata\.annotations/)]);
    await expect(access(calicoNodeKind).get('broken', undefined)).rejects.toThrow('Node broken: metadata');
  });

  it('is replaced if it is still the version of the file', async () => {
    await store.create(nodeKind, node('n'));
    const { replace } = access(calicoNodeKind);
    await expect(
      replace(calicoNode({ bgp: { asNumber: 65_001 } }, { resourceVersion: '0' })),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
    await replace(calicoNode({ bgp: { asNumber: 65_001 } }, { resourceVersion: '1', labels: { rack: 'a' } }));
    expect(store.all(nodeKind)[0]?.metadata.annotations).toEqual({ 'projectcalico.org/ASNumber': '65001' });
  });

  it('is written through its status when only annotations change, because RBAC often permits only that', async () => {
    await store.create(nodeKind, node('n'));
    const writes: unknown[] = [];
    const { patch } = store;
    store.patch = (...request: Parameters<typeof patch>) => {
      writes.push((request as unknown[])[3]);
      return patch.call(store, ...request) as never;
    };
    await access(calicoNodeKind).replace(calicoNode({ bgp: { asNumber: 1 } }, { labels: { rack: 'a' } }));
    await access(calicoNodeKind).replace(calicoNode({ bgp: { asNumber: 1 } }, { labels: { rack: 'b' } }));
    expect(writes).toEqual([{ isStatus: true }, { isStatus: false }]);
  });

  it('is not replaced by one with other derived fields, or when there is no core Node', async () => {
    const { replace } = access(calicoNodeKind);
    await expect(replace(calicoNode({}))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await store.create(nodeKind, node('n'));
    await expect(replace(calicoNode({ orchRefs: [] }))).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('is neither created nor deleted', async () => {
    const { create, remove } = access(calicoNodeKind);
    await expect(create(calicoNode({}))).rejects.toThrow('kubelets create Nodes');
    await expect(remove('n', undefined)).rejects.toThrow('kubectl delete node n');
  });
});

describe('the WorkloadEndpoint', () => {
  const pod = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { nodeName: 'n' },
  });

  it('is found by the name that Calico gives it, and listed by the name of its pod', async () => {
    for (const name of ['b', 'a']) await store.create(podKind, pod(name));
    const { get, list } = access(workloadEndpointKind);
    const listed = (await list('default')) as { spec: { pod: string } }[];
    expect(listed.map(({ spec }) => spec.pod)).toEqual(['a', 'b']);
    expect(await get('n-k8s-b-eth0', 'default')).toMatchObject({ spec: { pod: 'b' } });
    expect(await get('b', 'default')).toBeUndefined();
  });

  it('cannot be changed', async () => {
    const { create, replace, remove } = access(workloadEndpointKind);
    for (const refused of [create(pod('a')), replace(pod('a')), remove('a', 'default')])
      await expect(refused).rejects.toThrow('change the Pod with kubectl');
  });
});
