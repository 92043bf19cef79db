import { afterEach, beforeEach, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ipPoolKind, POOL_FINALIZER } from '../../../datastore/schema/ip-pool.ts';
import { ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { assignNext, newBlock } from '../../../ipam/block.ts';
import { calictl } from '../../helpers/calictl.ts';
import { HostileApi } from '../../helpers/hostile-api.ts';
import { temporaryKubeconfig } from '../../helpers/kubeconfig.ts';

let api: HostileApi;
let kubeconfig: { path: string; remove: () => void };
beforeEach(async () => {
  api = await HostileApi.start();
  kubeconfig = temporaryKubeconfig(api.url);
});
afterEach(async () => {
  kubeconfig.remove();
  await api.close();
});
const run = (...args: string[]) => calictl(...args, '--kubeconfig', kubeconfig.path);

const put = (name: string, spec: object) =>
  api.put(ipPoolKind, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name, managedFields: [{ manager: 'kubectl' }] },
    spec,
  });
const unknown = { cidr: '10.99.0.0/16', ofTomorrow: { deep: [1] } };
const wrong = { cidr: '10.99.0.0/33', ipipMode: 'Sometimes' };

it.each(['yaml', 'json'] as const)(
  'calictl get -o %s shows every field that the server has',
  async (output) => {
    put('new', unknown);
    put('wrong', wrong);
    const one = await run('get', 'ippool', 'new', '-o', output);
    expect(parse(one.out)).toMatchObject({ kind: 'IPPool', metadata: { name: 'new' }, spec: unknown });
    expect(one.out).not.toContain('managedFields');
    const all = await run('get', 'ippool', '-o', output);
    expect(all).toMatchObject({ code: 0, err: '' });
    expect(parse(all.out)).toMatchObject({ kind: 'IPPoolList', items: [{ spec: unknown }, { spec: wrong }] });
    const some = await run('get', 'ippool', 'none', 'wrong', '-o', output);
    expect(some).toMatchObject({ code: 1, err: 'resource does not exist: IPPool(none)\n' });
    expect(parse(some.out)).toMatchObject([{ spec: wrong }]);
  },
);

it('calictl get sorts objects by name, in whatever order the server lists them', async () => {
  for (const name of ['c', 'a', 'b']) put(name, { cidr: '10.98.0.0/16' });
  expect((await run('get', 'ippool', '-o', 'custom-columns=NAME')).out).toBe('NAME\na\nb\nc\n');
  expect((await run('get', 'ippool', '-o', 'name')).out.match(/\/./g)).toEqual(['/a', '/b', '/c']);
});

it('a table shows readable objects, names the others, and exits with code 1', async () => {
  put('good', { cidr: '10.98.0.0/16' });
  put('wrong', wrong);
  const { code, out, err } = await run('get', 'ippool');
  expect(code).toBe(1);
  expect(out).toMatch(/^NAME +CIDR +SELECTOR\ngood +10\.98\.0\.0\/16/);
  expect(err).toMatch(/^IPPool wrong: spec\./);
});

it('an unreadable object can be replaced and patched, and fields of a newer version are kept', async () => {
  put('wrong', { cidr: '10.99.0.0/33' });
  expect((await run('patch', 'ippool', 'wrong', '-p', '{"spec":{"disabled":true}}')).err).toMatch(
    /is invalid: spec\.cidr/,
  );
  expect((await run('patch', 'ippool', 'wrong', '-p', '{"spec":{"cidr":"10.99.0.0/24"}}')).code).toBe(0);
  put('new', unknown);
  expect((await run('patch', 'ippool', 'new', '-p', '{"spec":{"disabled":true}}')).code).toBe(0);
  expect(api.get(ipPoolKind, 'new')).toMatchObject({ spec: { ...unknown, disabled: true } });
});

it.each(['constructor', 'toString', '__proto__'])(
  'calictl label sets the label %s on an object without that label',
  async (key) => {
    put('p', { cidr: '10.99.0.0/16' });
    expect((await run('label', 'ippool', 'p', `${key}=x`)).out).toBe(
      `Successfully set label ${key} on IPPool p\n`,
    );
    expect(JSON.stringify(api.get(ipPoolKind, 'p'))).toContain(`"labels":{"${key}":"x"}`);
  },
);

const invalid = { cidr: '10.99.0.0/24', ipipMode: 'Sometimes' };
const putBlock = (cidr: string) => {
  const block = newBlock(cidr, 'n1', 1);
  const { block: spec } = assignNext(block, { handleId: 'h', attributes: {} }, () => false)!;
  api.put(ipamBlockKind, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPAMBlock',
    metadata: { name: cidr.replaceAll(/[./]/g, '-') },
    spec,
  });
};

it.each([
  ['addresses in its range', invalid, '10.99.0.0/26', '1 address may be in use'],
  [
    'no valid range, and another block in use',
    { cidr: '10.99.0.0/33' },
    '10.50.0.0/26',
    '1 address may be in use',
  ],
])('an unreadable pool with %s is not deleted', async (_, spec, block, reason) => {
  put('wrong', spec);
  put('good', { cidr: '10.98.0.0/16' });
  putBlock(block);
  putBlock('10.98.0.0/26');
  const { code, err } = await run('delete', 'ippool', 'wrong');
  expect(code).toBe(1);
  expect(err).toContain(reason);
  expect(err).toContain('correct the pool, then delete it');
  expect(api.get(ipPoolKind, 'wrong')).toBeDefined();
});

it.each([
  ['without addresses in use', invalid, '10.98.0.0/26'],
  ['without a valid range, while all blocks are of other pools', { cidr: '10.99.0.0/33' }, '10.98.0.0/26'],
])('an unreadable pool %s is deleted', async (_, spec, block) => {
  put('wrong', spec);
  put('good', { cidr: '10.98.0.0/16' });
  putBlock(block);
  expect(await run('delete', 'ippool', 'wrong')).toMatchObject({ code: 0 });
  expect(api.get(ipPoolKind, 'wrong')).toBeUndefined();
});

it('an unreadable block guards a pool: an unreadable pool stays, a readable one gets the finalizer', async () => {
  put('wrong', invalid);
  put('good', { cidr: '10.98.0.0/16' });
  api.put(ipamBlockKind, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPAMBlock',
    metadata: { name: 'odd' },
    spec: { cidr: 'nowhere' },
  });
  expect((await run('delete', 'ippool', 'wrong')).err).toContain('blocks that cannot be read may be in it');
  await run('delete', 'ippool', 'good');
  const changes = api.requests.filter((one) => /^(PATCH|DELETE)/.test(one)).map((one) => one.split(' ')[0]);
  expect(changes).toEqual(['PATCH', 'DELETE']);
});

it('an unreadable pool that has the finalizer is deleted, because cali-controllers guards it', async () => {
  const pool = { apiVersion: 'projectcalico.org/v3', kind: 'IPPool', spec: invalid };
  api.put(ipPoolKind, { ...pool, metadata: { name: 'wrong', finalizers: [POOL_FINALIZER] } });
  putBlock('10.99.0.0/26');
  expect(await run('delete', 'ippool', 'wrong')).toMatchObject({ code: 0 });
});
