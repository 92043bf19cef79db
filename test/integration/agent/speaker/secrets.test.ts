import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { SecretsView } from '../../../../agent/speaker/secrets.ts';
import { plainAddress } from '../../../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../../../datastore/kubernetes/client.ts';
import { describeProblem } from '../../../../datastore/object-problem.ts';
import { bgpPeerKind } from '../../../../datastore/schema/bgp-peer.ts';
import { secretKind, secretValue } from '../../../../datastore/schema/core.ts';
import { createLog } from '../../../../lib/log.ts';
import { systemTime } from '../../../../lib/time.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** An API server whose Role names these Secrets; it answers all other requests with RBAC's Forbidden. */
async function server(allowed: Set<string>): Promise<KubernetesClient> {
  const http = createServer((request, response) => {
    const query = new URL(request.url!, 'http://x').searchParams;
    const name = query.get('fieldSelector')?.replace('metadata.name=', '') ?? '';
    if (!allowed.has(name)) {
      response.writeHead(403, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ kind: 'Status', code: 403, reason: 'Forbidden', message: 'secrets is forbidden' }),
      );
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    if (query.has('watch')) {
      response.flushHeaders();
      return;
    }
    const metadata = { name, namespace: 'kube-system', resourceVersion: '2' };
    const data = { key: Buffer.from('word').toString('base64') };
    response.end(JSON.stringify({ metadata: { resourceVersion: '2' }, items: [{ metadata, data }] }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => http.once('listening', resolve));
  closers.push(() => {
    http.closeAllConnections();
    http.close();
  });
  return new KubernetesClient(plainAddress(`http://127.0.0.1:${(http.address() as AddressInfo).port}`));
}

const peer = (name: string) =>
  bgpPeerKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'BGPPeer',
    metadata: { name },
    spec: { peerIP: '192.0.2.1', asNumber: 64512, password: { secretKeyRef: { name, key: 'key' } } },
  });

it('a Secret that RBAC forbids is reported with the Role to extend, until it can be read', async () => {
  const allowed = new Set(['bgp-secrets']);
  const log = createLog('fatal', { name: 'test' });
  const view = new SecretsView('kube-system', {
    time: systemTime,
    client: await server(allowed),
    log,
    changed: () => undefined,
  });
  closers.push(() => view.close());
  view.follow([], [peer('bgp-secrets'), peer('other')]);
  await vi.waitFor(() => expect(view.problems()).toHaveLength(1), 100_000);
  const known = { state: 'known', value: 'word' };
  await vi.waitFor(() => expect(view.value('bgp-secrets', 'key')).toEqual(known), 100_000);
  expect(view.problems().map(({ problem }) => describeProblem(problem))).toEqual([
    'Secret kube-system/other: RBAC forbids reading it: add other to resourceNames of Role cali-bgp-secrets in namespace kube-system (Helm: bgpSecrets)',
  ]);
  expect(view.value('other', 'key')).toMatchObject({
    state: 'unknown',
    reason: expect.stringContaining('RBAC forbids'),
  });
  allowed.add('other');
  await vi.waitFor(() => expect(view.value('other', 'key')).toEqual(known), 100_000);
  await vi.waitFor(() => expect(view.problems()).toEqual([]), 100_000);
});

it('a known password stays in force, with a warning, when its Secret becomes unusable or is deleted', async () => {
  const text = (value: string) => Buffer.from(value).toString('base64');
  let data: Record<string, string> | undefined;
  const watches: ServerResponse[] = [];
  const metadata = { name: 'bgp', namespace: 'kube-system', resourceVersion: '2' };
  const http = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    if (new URL(request.url!, 'http://x').searchParams.has('watch')) {
      response.flushHeaders();
      watches.push(response);
    } else
      response.end(
        JSON.stringify({ metadata: { resourceVersion: '2' }, items: data ? [{ metadata, data }] : [] }),
      );
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => http.once('listening', resolve));
  closers.push(() => {
    http.closeAllConnections();
    http.close();
  });
  const client = new KubernetesClient(
    plainAddress(`http://127.0.0.1:${(http.address() as AddressInfo).port}`),
  );
  const view = new SecretsView('kube-system', {
    time: systemTime,
    client,
    log: createLog('fatal', { name: 'test' }),
    changed: () => undefined,
  });
  closers.push(() => view.close());
  view.follow([], [peer('bgp')]);
  expect(view.value('bgp', 'key').state).toBe('unknown');
  await vi.waitFor(() => expect(view.value('bgp', 'key').state).toBe('missing'), 100_000);
  let version = 2;
  const send = async (type: string, value: Record<string, string>, expected: object) => {
    data = value;
    version++;
    const object = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { ...metadata, resourceVersion: String(version) },
      data,
    };
    watches.at(-1)!.write(`${JSON.stringify({ type, object })}\n`);
    await vi.waitFor(() => expect(view.value('bgp', 'key')).toMatchObject(expected), 100_000);
  };
  await vi.waitFor(() => expect(watches).toHaveLength(1), 100_000);
  const is = (value: string, warning: string) => ({
    state: 'known',
    value,
    warning: expect.stringContaining(warning),
  });
  await send('ADDED', { key: text('one') }, { state: 'known', value: 'one' });
  await send('MODIFIED', { key: text('x'.repeat(81)) }, is('one', '81 octets'));
  await send('MODIFIED', { key: '' }, is('one', 'empty'));
  await send('MODIFIED', { key: text('a\0b') }, is('one', 'NUL'));
  await send('MODIFIED', { key: '/w==' }, is('one', 'UTF-8'));
  expect(view.passwordProblems([], [peer('bgp')]).map(({ problem }) => describeProblem(problem))).toEqual([
    'BGPPeer bgp: spec.password: Secret kube-system/bgp, key key: the password is not UTF-8 text: the previous password stays in force',
  ]);
  await send('MODIFIED', { other: text('x') }, is('one', 'has no key key'));
  await send('MODIFIED', { key: text('two') }, { state: 'known', value: 'two' });
  await send('DELETED', {}, is('two', 'Secret kube-system/bgp does not exist'));
});

it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf'])(
  'a property that every object inherits is not a key of a Secret: %s',
  (key) => {
    const metadata = { name: 'bgp', namespace: 'kube-system' };
    const parsed = secretKind.schema.parse({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      data: { key: 'eA==' },
      stringData: { other: 'x' },
    });
    expect(secretValue(parsed, key)).toBeUndefined();
    expect(secretValue(parsed, 'key')).toBe('x');
    expect(secretValue(parsed, 'other')).toBe('x');
  },
);
