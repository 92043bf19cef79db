import { afterEach, beforeEach, expect, it } from 'vitest';
import { parse } from 'yaml';
import { get, label } from '../../../calictl/resources.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { plainEndpoint } from '../../../datastore/kubernetes/endpoint.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { HostileApi } from '../../helpers/hostile-api.ts';

let api: HostileApi;
let client: KubernetesClient;
beforeEach(async () => {
  api = await HostileApi.start();
  client = new KubernetesClient(plainEndpoint(api.url));
});
afterEach(() => api.close());

const put = (name: string, spec: object) =>
  api.put(ipPoolKind, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name, managedFields: [{ manager: 'kubectl' }] },
    spec,
  });
const unknown = { cidr: '10.99.0.0/16', ofTomorrow: { deep: [1] } };
const wrong = { cidr: '10.99.0.0/33', ipipMode: 'Sometimes' };

it.each(['yaml', 'json'] as const)('get -o %s shows every field that the server has', async (output) => {
  put('new', unknown);
  put('wrong', wrong);
  const options = { output, namespace: undefined };
  const one = await get(client, 'ippool', ['new'], options);
  expect(parse(one.text)).toMatchObject({ kind: 'IPPool', metadata: { name: 'new' }, spec: unknown });
  expect(one.text).not.toContain('managedFields');
  const all = await get(client, 'ippool', [], options);
  expect(all.failures).toEqual([]);
  expect(parse(all.text)).toMatchObject({ kind: 'IPPoolList', items: [{ spec: unknown }, { spec: wrong }] });
  await expect(get(client, 'ippool', ['none'], options)).rejects.toThrow(
    'resource does not exist: IPPool(none)',
  );
  const some = await get(client, 'ippool', ['none', 'wrong'], options);
  expect(some.failures).toEqual(['resource does not exist: IPPool(none)']);
  expect(parse(some.text)).toMatchObject({ items: [{ spec: wrong }] });
});

it.each(['constructor', 'toString', '__proto__'])(
  'the label %s is set where the object has none',
  async (key) => {
    put('p', { cidr: '10.99.0.0/16' });
    const flags = { overwrite: false, remove: false };
    expect(await label(client, 'ippool', 'p', `${key}=x`, flags)).toBe(
      `Successfully set label ${key} on IPPool p`,
    );
  },
);
