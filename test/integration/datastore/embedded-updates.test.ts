import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CalictlWorld } from '../../helpers/calictl.ts';

let world: CalictlWorld;
beforeAll(async () => {
  world = await CalictlWorld.start();
});
afterAll(() => world.stop());

interface Body {
  metadata: Record<string, unknown>;
  spec?: Record<string, unknown>;
  [field: string]: unknown;
}

const calico = '/apis/projectcalico.org/v3';
const request = async (method: string, path: string, body?: object, type = 'application/json') => {
  const response = await fetch(`${world.url}${path}`, {
    method,
    headers: { 'content-type': type },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { code: response.status, body: (await response.json()) as Body };
};
const created = async (collection: string, object: object) => {
  const { code, body } = await request('POST', collection, object);
  expect(code).toBe(201);
  return { url: `${collection}/${String(body.metadata['name'])}`, stored: body };
};
const reversed = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, inner]) => [key, reversed(inner)]),
  );
};
const head = (kind: string, name: string) => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: { name },
});

describe('the embedded API server treats an update as Kubernetes does', () => {
  it.each<[string, string, object]>([
    [
      'an IPPool',
      `${calico}/ippools`,
      { ...head('IPPool', 'p'), spec: { natOutgoing: true, cidr: '10.1.0.0/16', allowedUses: ['Workload'] } },
    ],
    [
      'a BGPPeer with a dotted AS number',
      `${calico}/bgppeers`,
      { ...head('BGPPeer', 'b'), spec: { peerIP: '2001:DB8::1', asNumber: '1.1' } },
    ],
    ['a FelixConfiguration', `${calico}/felixconfigurations`, { ...head('FelixConfiguration', 'default') }],
    [
      'a Node',
      '/api/v1/nodes',
      {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: 'n', labels: { b: '1', a: '2' } },
        spec: { podCIDR: '10.2.0.0/24' },
      },
    ],
    [
      'a Secret',
      '/api/v1/namespaces/kube-system/secrets',
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { b: 'eA==', a: 'eQ==' } },
    ],
  ])('an equal PUT of %s keeps generation and resourceVersion', async (_, collection, object) => {
    const { url, stored } = await created(collection, object);
    const { generation, resourceVersion, ...metadata } = stored.metadata;
    const empty = { labels: null, annotations: {}, finalizers: [], ownerReferences: null };
    for (const body of [
      stored,
      reversed(stored) as object,
      object,
      { ...stored, metadata },
      {
        ...stored,
        metadata: { ...empty, ...metadata, generation: 7, deletionTimestamp: null, creationTimestamp: null },
      },
    ])
      expect(await request('PUT', url, body)).toEqual({ code: 200, body: stored });
    const patched = await request(
      'PATCH',
      url,
      { metadata: { annotations: null } },
      'application/merge-patch+json',
    );
    expect(patched).toEqual({ code: 200, body: stored });
    expect([typeof generation, typeof resourceVersion]).toEqual(['number', 'string']);
  });

  it('a changed spec raises both, a changed label only resourceVersion', async () => {
    const { url, stored } = await created(`${calico}/ippools`, {
      ...head('IPPool', 'changing'),
      spec: { cidr: '10.3.0.0/16' },
    });
    const changed = await request('PUT', url, { ...stored, spec: { ...stored.spec, natOutgoing: true } });
    expect(changed.body.metadata['generation']).toBe(2);
    const labelled = await request('PUT', url, {
      ...changed.body,
      metadata: { ...changed.body.metadata, labels: { a: 'b' } },
    });
    expect(labelled.body.metadata['generation']).toBe(2);
    expect(labelled.body.metadata['resourceVersion']).not.toBe(changed.body.metadata['resourceVersion']);
  });

  it('refuses another uid with 409 Conflict, in a PUT, a patch and calictl, and stores nothing', async () => {
    const { url, stored } = await created(`${calico}/ippools`, {
      ...head('IPPool', 'identity'),
      spec: { cidr: '10.4.0.0/16' },
    });
    const other = '00000000-0000-0000-0000-000000000001';
    const foreign = { ...head('IPPool', 'identity'), spec: { cidr: '10.4.0.0/16', natOutgoing: true } };
    const body = { ...foreign, metadata: { name: 'identity', uid: other } };
    const refused = {
      code: 409,
      body: {
        reason: 'Conflict',
        message: `Operation cannot be fulfilled on ippools.projectcalico.org "identity": Precondition failed: UID in precondition: ${other}, UID in object meta: ${String(stored.metadata['uid'])}`,
      },
    };
    expect(await request('PUT', url, body)).toMatchObject(refused);
    const patch = { metadata: { uid: other }, spec: { natOutgoing: true } };
    expect(await request('PATCH', url, patch, 'application/merge-patch+json')).toMatchObject(refused);
    const file = world.file('uid.json', JSON.stringify(body));
    for (const verb of ['replace', 'apply'])
      expect(await world.calictl(verb, '-f', file)).toMatchObject({
        code: 1,
        err: expect.stringContaining(`metadata.uid is ${other}, the stored object has`),
      });
    expect((await request('GET', url)).body).toEqual(stored);
  });

  it('judges every key of metadata: __proto__ in labels, text that is a number, unknown fields', async () => {
    const pools = `${calico}/ippools`;
    const make = (metadata: string) =>
      JSON.parse(
        `{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"keys",${metadata}},"spec":{"cidr":"10.5.0.0/16"}}`,
      ) as object;
    for (const [metadata, sentence] of [
      ['"labels":{"__proto__":"x"}', 'metadata.labels: Invalid value: "__proto__": must be a name'],
      ['"annotations":{"__proto__":"x"}', 'metadata.annotations: Invalid value: "__proto__": must be a name'],
      ['"labels":{"a":5}', 'metadata.labels.a: Invalid value: 5: must be a string, not a number'],
    ] as const)
      expect(await request('POST', pools, make(metadata))).toMatchObject({
        code: 422,
        body: { reason: 'Invalid', message: expect.stringContaining(sentence) },
      });
    const strange = make('"lables":{"a":"b"},"__proto__":{"a":"b"}');
    expect(await request('POST', `${pools}?fieldValidation=Strict`, strange)).toMatchObject({
      code: 400,
      body: {
        message: expect.stringMatching(
          /unknown field "metadata\.lables": did you mean "labels"\?.*"metadata\.__proto__"/,
        ),
      },
    });
    const { code, body } = await request('POST', pools, strange);
    expect(code).toBe(201);
    expect(Object.keys(body.metadata).toSorted()).toEqual([
      ...['creationTimestamp', 'generation', 'name', 'resourceVersion', 'uid'],
    ]);
    const patch = JSON.parse('{"metadata":{"labels":{"__proto__":"x"}}}') as object;
    expect(await request('PATCH', `${pools}/keys`, patch, 'application/merge-patch+json')).toMatchObject({
      code: 422,
    });
  });

  it.each([
    [
      'an IPPool changes nothing else',
      `${calico}/ippools`,
      { ...head('IPPool', 's'), spec: { cidr: '10.7.0.0/16' } },
      {},
    ],
    [
      'a Node may change its labels',
      '/api/v1/nodes',
      { apiVersion: 'v1', kind: 'Node', metadata: { name: 's' } },
      { a: 'b' },
    ],
  ])('an update of the status of %s', async (_, collection, object, labels) => {
    const { url, stored } = await created(collection, object);
    const metadata = { labels: { a: 'b' }, finalizers: null };
    const change = { metadata, spec: { natOutgoing: true }, status: { conditions: [] } };
    const { code, body } = await request('PATCH', `${url}/status`, change, 'application/merge-patch+json');
    expect(code).toBe(200);
    expect([body['status'], body.spec, body.metadata['labels'] ?? {}]).toEqual([
      { conditions: [] },
      stored.spec,
      labels,
    ]);
  });
});
