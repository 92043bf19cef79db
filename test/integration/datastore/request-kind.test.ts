import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { plainAddress } from '../../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { requestKind } from '../../../datastore/kubernetes/request-kind.ts';
import { RequestCounter } from '../../../datastore/kubernetes/request-metrics.ts';
import { nodeKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';

it.each([
  ['GET', '/api/v1/nodes', false, 'list nodes'],
  ['GET', '/api/v1/nodes', true, 'watch nodes'],
  ['GET', '/api/v1/nodes/a', false, 'get nodes'],
  ['PATCH', '/api/v1/nodes/a/status', false, 'patch nodes/status'],
  ['PATCH', '/api/v1/namespaces/a/pods/b/status', false, 'patch pods/status'],
  ['GET', '/api/v1/namespaces/a/secrets', true, 'watch secrets'],
  ['GET', '/api/v1/namespaces', false, 'list namespaces'],
  ['GET', '/api/v1/namespaces/a', false, 'get namespaces'],
  ['PATCH', '/api/v1/namespaces/a/status', false, 'patch namespaces/status'],
  ['POST', '/api/v1/namespaces/default/events', false, 'create events'],
  ['PUT', '/apis/projectcalico.org/v3/ipamblocks/x', false, 'update ipamblocks.projectcalico.org'],
  ['DELETE', '/apis/projectcalico.org/v3/ipamblocks/x', false, 'delete ipamblocks.projectcalico.org'],
  ['PATCH', '/apis/projectcalico.org/v3/bgppeers/x/status', false, 'patch bgppeers.projectcalico.org/status'],
  [
    'GET',
    '/apis/discovery.k8s.io/v1/namespaces/a/endpointslices',
    false,
    'list endpointslices.discovery.k8s.io',
  ],
  ['GET', '/apis/discovery.k8s.io', false, 'get /apis/discovery.k8s.io'],
] as const)('%s %s (watch: %s) is counted as %s', (method, path, isWatch, wanted) => {
  const { verb, resource } = requestKind(method, path, isWatch);
  expect(`${verb} ${resource}`).toBe(wanted);
});

it('each API answer is counted once with its code, and a missing answer counts as an error', async () => {
  const server = createServer((request, response) => {
    const isRefused = request.method !== 'GET';
    response.writeHead(isRefused ? 403 : 200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify(isRefused ? { message: 'no' } : { metadata: { resourceVersion: '1' }, items: [] }),
    );
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const counter = new RequestCounter();
  const registry = new Registry();
  counter.register(registry);
  const client = new KubernetesClient(
    plainAddress(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    counter,
  );
  await client.list(nodeKind);
  await client.list(nodeKind);
  await expect(client.patch(nodeKind, 'a', {}, { isStatus: true })).rejects.toThrow('no');
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await expect(client.list(ipPoolKind)).rejects.toThrow();
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('cali_'));
  expect(lines.sort()).toEqual([
    'cali_api_requests_total{verb="list",resource="ippools.projectcalico.org",code="error"} 1',
    'cali_api_requests_total{verb="list",resource="nodes",code="200"} 2',
    'cali_api_requests_total{verb="patch",resource="nodes/status",code="403"} 1',
  ]);
});
