/** A reflector survives failed calculations, and does not replace an unreadable configuration by defaults. */

import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, expect, it, vi } from 'vitest';
import { ClusterSource } from '../../../../agent/reflector/cluster-source.ts';
import { Reflector, type ReflectorSource } from '../../../../agent/reflector/reflector.ts';
import type { PeerConfig } from '../../../../bgp/peer/config.ts';
import type { PolicyRoute } from '../../../../bgp/policy/export.ts';
import { tcpTransport } from '../../../../bgp/transport/tcp.ts';
import { plainAddress } from '../../../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../../../datastore/kubernetes/client.ts';
import { RequestCounter } from '../../../../datastore/kubernetes/request-metrics.ts';
import { bgpConfigurationKind } from '../../../../datastore/schema/bgp-configuration.ts';
import { bgpFilterKind } from '../../../../datastore/schema/bgp-filter.ts';
import { bgpPeerKind } from '../../../../datastore/schema/bgp-peer.ts';
import { endpointSliceKind, nodeKind, serviceKind } from '../../../../datastore/schema/core.ts';
import { apiVersionOf, type ResourceDefinition } from '../../../../datastore/schema/resource.ts';
import { silentLog } from '../../../../lib/log.ts';
import { systemTime } from '../../../../lib/time.ts';
import { calictl } from '../../../helpers/calictl.ts';
import { HostileApi } from '../../../helpers/hostile-api.ts';
import { ScriptedPeer } from '../../../helpers/scripted-peer.ts';

const modules = { time: systemTime, transport: tcpTransport, log: silentLog };

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

it('a reflector survives a calculation that throws, and becomes ready once a configuration is in force', async () => {
  let desired: ReflectorSource['desired'] = () => {
    throw new Error('no configuration');
  };
  let changed = () => {};
  const runDirectory = mkdtempSync(path.join(os.tmpdir(), 'cali-reflector-'));
  closers.push(() => rmSync(runDirectory, { recursive: true, force: true }));
  const healthPort = await freePort();
  const listenPort = await freePort();
  const source: ReflectorSource = {
    start: async (onChange) => {
      changed = onChange;
    },
    identity: () => ({ identifier: '10.0.0.1', port: listenPort, listenAddresses: ['127.0.0.1'] }),
    configurations: () => [],
    desired: () => desired(),
    close() {},
  };
  const config = { restartTimeSeconds: 1, unreachableSeconds: 1, runDirectory, healthPort };
  const reflector = new Reflector(config, source, modules);
  await reflector.start();
  closers.push(() => reflector.stop());
  const ready = async () => {
    const response = await fetch(`http://127.0.0.1:${healthPort}/readyz`);
    return [response.status, await response.text()];
  };
  expect(await ready()).toEqual([503, expect.stringContaining('no configuration')]);
  desired = () => ({ peers: [], originated: [] });
  changed();
  expect((await ready())[0]).toBe(200);
  desired = () => {
    throw new Error('a later fault');
  };
  changed();
  expect((await ready())[0]).toBe(200);
});

it.each([
  [['node', 'status'], 'this is a route reflector, not a node: `calictl bgp peers` shows its sessions'],
  [['explain', 'route', '10.0.0.1'], 'run `calictl explain route` on a node'],
])('calictl %j on a reflector names the command to use instead', async (args, sentence) => {
  const runDirectory = mkdtempSync(path.join(os.tmpdir(), 'cali-reflector-'));
  closers.push(() => rmSync(runDirectory, { recursive: true, force: true }));
  const port = await freePort();
  const source: ReflectorSource = {
    start: async () => {},
    identity: () => ({ identifier: '10.0.0.1', port, listenAddresses: ['127.0.0.1'] }),
    configurations: () => [],
    desired: () => ({ peers: [], originated: [] }),
    close() {},
  };
  const config = { restartTimeSeconds: 1, unreachableSeconds: 1, runDirectory };
  const reflector = new Reflector(config, source, modules);
  await reflector.start();
  closers.push(() => reflector.stop());
  vi.stubEnv('CALI_RUN_DIR', runDirectory);
  closers.push(() => vi.unstubAllEnvs());
  expect(await calictl(...args)).toEqual({ code: 1, out: '', err: expect.stringContaining(sentence) });
  expect((await calictl('bgp', 'peers')).code).toBe(0);
});

it('a new routerID or listenPort takes effect at once, through a new speaker that restarts gracefully', async () => {
  const runDirectory = mkdtempSync(path.join(os.tmpdir(), 'cali-reflector-'));
  closers.push(() => rmSync(runDirectory, { recursive: true, force: true }));
  const port = await freePort();
  let identity = { identifier: '10.0.0.1', port, listenAddresses: ['127.0.0.1'] };
  let changed = () => {};
  const peer: PeerConfig = {
    address: '127.0.0.2',
    port: 179,
    asNumber: 64512,
    localAs: 64512,
    localAddress: undefined,
    families: [4],
    isPassive: true,
    peerType: 'global',
    name: 'a',
    holdTimeSeconds: 90,
    restartTimeSeconds: 5,
    allowedLocalAs: 0,
  };
  const source: ReflectorSource = {
    start: async (onChange) => {
      changed = onChange;
    },
    identity: () => identity,
    configurations: () => [],
    desired: () => ({ peers: [peer], originated: [] }),
    close() {},
  };
  const config = { restartTimeSeconds: 1, unreachableSeconds: 1, runDirectory };
  const reflector = new Reflector(config, source, modules);
  await reflector.start();
  closers.push(() => reflector.stop());
  const identifierAt = async (at: number) => {
    const client = await ScriptedPeer.connect(at, peer.address);
    closers.push(() => client.socket.destroy());
    return { client, identifier: client.last('open')?.identifier };
  };
  const first = await identifierAt(port);
  expect(first.identifier).toBe('10.0.0.1');
  identity = { ...identity, identifier: '10.0.0.9' };
  changed();
  await vi.waitFor(() => expect(first.client.socket.destroyed).toBe(true), { timeout: 10_000 });
  // Without a NOTIFICATION, the peer keeps its routes.
  expect(first.client.last('notification')).toBeUndefined();
  const second = await identifierAt(port);
  expect([second.identifier, second.client.last('open')?.capabilities.gracefulRestart?.isRestarting]).toEqual(
    ['10.0.0.9', true],
  );
  identity = { ...identity, port: await freePort() };
  changed();
  expect((await identifierAt(identity.port)).identifier).toBe('10.0.0.9');
});

/** Starts an API server with a Service whose endpoint is the reflector rr, and a source that reads it. */
async function clusterOfReflector() {
  const api = await HostileApi.start();
  closers.push(() => api.close());
  const metadata = { name: 'rr', namespace: 'kube-system', uid: 'u1' };
  const annotations = { 'projectcalico.org/RouteReflectorClusterID': '1.0.0.1' };
  api.put(serviceKind, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...metadata, annotations, labels: { rr: 'yes' } },
    spec: {},
  });
  api.put(endpointSliceKind, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'rr' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['172.18.0.11'], nodeName: 'n1', conditions: { ready: true } }],
    ports: [{ port: 1790 }],
  });
  const put = (definition: ResourceDefinition, name: string, spec: unknown, annotated: object = {}) =>
    api.put(definition, {
      apiVersion: apiVersionOf(definition),
      kind: definition.kind,
      metadata: { name, annotations: annotated },
      spec,
    });
  const requests = new RequestCounter();
  const source = new ClusterSource(
    {
      namespace: 'kube-system',
      service: 'rr',
      node: 'n1',
      port: 1790,
      identifier: '10.0.0.1',
      defaults: { holdTimeSeconds: 90, restartTimeSeconds: 120 },
    },
    {
      client: new KubernetesClient(plainAddress(api.url), requests),
      register: (registry) => requests.register(registry),
      time: systemTime,
      log: silentLog,
    },
  );
  closers.push(() => source.close());
  return { put, source };
}

it('a reflector waits for an unreadable BGPConfiguration instead of using defaults', async () => {
  const { put, source } = await clusterOfReflector();
  put(bgpConfigurationKind, 'default', 'none');
  let changes = 0;
  await source.start(() => changes++);
  expect(() => source.desired()).toThrow(/waiting until this is corrected: BGPConfiguration default/);
  put(bgpConfigurationKind, 'default', { asNumber: 65001 });
  await vi.waitFor(() => expect(changes).toBeGreaterThan(0), 100_000);
  expect(source.desired().peers).toEqual([]);
  expect(source.configurations()[0]?.spec.asNumber).toBe(65001);
});

it('the metrics of a reflector count its requests to the API server and its watches', async () => {
  const { source } = await clusterOfReflector();
  await source.start(() => undefined);
  const registry = new Registry();
  source.register(registry);
  const names = (await registry.getMetricsAsJSON()).map(({ name }) => name);
  expect(names).toContain('cali_api_requests_total');
  expect(await registry.metrics()).toMatch(/^cali_api_requests_total\{.*services.*\} [1-9]/m);
  expect(names.some((name) => name.includes('watch'))).toBe(true);
});

it('a reflector passes no route through an unreadable BGPFilter, and its status names the filter', async () => {
  const { put, source } = await clusterOfReflector();
  put(nodeKind, 'n2', {}, { 'projectcalico.org/IPv4Address': '172.18.0.2/24' });
  put(bgpPeerKind, 'rr', { nodeSelector: 'all()', peerSelector: "rr == 'yes'", filters: ['narrow'] });
  put(bgpFilterKind, 'narrow', 'none');
  let changes = 0;
  await source.start(() => changes++);
  const route: PolicyRoute = {
    prefix: '10.9.0.0/24',
    attributes: { origin: 0, asPath: [], nextHop: '172.18.0.2' },
    isLocal: false,
    isIbgp: true,
  };
  const session = () => {
    const [peer] = source.desired().peers;
    return [
      peer?.address,
      peer?.warning,
      ...[peer?.importPolicy, peer?.exportPolicy].map((policy) => policy?.apply(route).isAccepted ?? true),
    ];
  };
  const address = '172.18.0.2';
  const warning = 'BGPFilter narrow cannot be used: it rejects every route';
  expect(session()).toEqual([address, warning, false, false]);
  put(bgpFilterKind, 'narrow', { importV4: [{ action: 'Accept' }], exportV4: [{ action: 'Accept' }] });
  await vi.waitFor(() => expect(changes).toBeGreaterThan(0), 100_000);
  expect(session()).toEqual([address, undefined, true, true]);
});
