import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { SecretsView } from '../../../agent/secrets.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { plainEndpoint } from '../../../datastore/kubernetes/endpoint.ts';
import { describeProblem } from '../../../datastore/object-problem.ts';
import { bgpPeerKind } from '../../../datastore/schema/bgp.ts';
import { createLog } from '../../../lib/log.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** An API server whose Role names these Secrets; everything else is forbidden, as RBAC answers it. */
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
  return new KubernetesClient(plainEndpoint(`http://127.0.0.1:${(http.address() as AddressInfo).port}`));
}

const peer = (name: string) =>
  bgpPeerKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'BGPPeer',
    metadata: { name },
    spec: { peerIP: '192.0.2.1', asNumber: 64512, password: { secretKeyRef: { name, key: 'key' } } },
  });

it('a Secret that may not be read is named with the Role to extend, until it may be read', async () => {
  const allowed = new Set(['bgp-secrets']);
  const log = createLog('fatal', { name: 'test' });
  const view = new SecretsView('kube-system', {
    client: await server(allowed),
    log,
    changed: () => undefined,
  });
  closers.push(() => view.close());
  view.follow([], [peer('bgp-secrets'), peer('other')]);
  await vi.waitFor(() => expect(view.problems()).toHaveLength(1), 20_000);
  await vi.waitFor(() => expect(view.value('bgp-secrets', 'key')).toBe('word'), 20_000);
  expect(view.problems().map(({ problem }) => describeProblem(problem))).toEqual([
    'Secret kube-system/other: RBAC forbids to read it: add other to resourceNames of Role cali-bgp-secrets in namespace kube-system (Helm: bgpSecrets)',
  ]);
  expect(view.value('other', 'key')).toBeUndefined();
  allowed.add('other');
  await vi.waitFor(() => expect(view.value('other', 'key')).toBe('word'), 40_000);
  await vi.waitFor(() => expect(view.problems()).toEqual([]), 20_000);
});
