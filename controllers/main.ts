/** cali-controllers: tasks of one process for the whole cluster. */

import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { EventRecorder } from '../datastore/kubernetes/events.ts';
import { loadApiServerAddress } from '../datastore/kubernetes/load-address.ts';
import { RequestCounter } from '../datastore/kubernetes/request-metrics.ts';
import { nodeKind } from '../datastore/schema/core.ts';
import { type IPPool, ipPoolKind } from '../datastore/schema/ip-pool.ts';
import { Shared } from '../datastore/shared.ts';
import { registerWatchMetrics, watchStates } from '../datastore/watch-metrics.ts';
import { parseArguments } from '../lib/arguments.ts';
import { Boundary } from '../lib/boundary.ts';
import { reportCrashes } from '../lib/crash.ts';
import { messageOf } from '../lib/errors.ts';
import { exposition } from '../lib/exposition.ts';
import { serveRoutes, text } from '../lib/http.ts';
import { createLog } from '../lib/log.ts';
import { releaseIdleMemory } from '../lib/memory.ts';
import { stopOnSignal } from '../lib/stop.ts';
import { systemTime } from '../lib/time.ts';
import { VERSION } from '../lib/version.ts';
import { AddressCollector } from './address-collector.ts';
import { readConfig } from './config.ts';
import { ControllersConfiguration } from './configuration.ts';
import { CrdRules } from './crd-rules.ts';
import { createMetrics } from './metrics.ts';
import { PeerStatusWriter } from './peer-status-writer.ts';
import { isSameForDeletion } from './pool-deletion.ts';

const usage = `cali-controllers ${VERSION}: frees addresses, blocks and handles that pods and nodes left behind,
writes the status of IPPools and BGPPeers, and adds validation rules to Cali's CRDs.

Settings: KubeControllersConfiguration default (docs/configuration.md); HEALTH_PORT (9095) serves /healthz and /readyz,
METRICS_HOST (127.0.0.1) and METRICS_PORT (9094) /metrics.
`;

const { values } = parseArguments({
  options: { version: { type: 'boolean', short: 'v' }, help: { type: 'boolean', short: 'h' } },
});
reportCrashes({ fields: { name: 'cali-controllers' } });
const log = createLog('info', { name: 'cali-controllers' });

if (values.help) process.stdout.write(usage);
else if (values.version) process.stdout.write(`${VERSION}\n`);
else
  await main().catch((error: unknown) => {
    log.error({ reason: messageOf(error) }, 'cali-controllers cannot start');
    process.exit(1);
  });

async function main(): Promise<void> {
  const requests = new RequestCounter();
  const config = readConfig(process.env);
  log.setSeverity(config.logSeverity);
  const api = await loadApiServerAddress(config.kubeconfig);
  const client = new KubernetesClient(api, requests);
  const modules = { store: client, clock: systemTime, log };
  const events = new EventRecorder('cali-controllers', modules);
  const configuration = new ControllersConfiguration({ ...modules, client, changed: () => collector.look() });
  const collector = new AddressCollector({ ...modules, events, configuration: configuration.read });
  const abort = new AbortController();
  const nodes = new Shared(nodeKind, { client, time: systemTime, log });
  nodes.add({ changed: (_, node) => node ?? collector.look(), synced: () => collector.look() });
  const pools = new Shared(ipPoolKind, { client, time: systemTime, log });
  const seen = new Map<string, IPPool>();
  pools.add({
    changed: (name, pool) => {
      const isSame = isSameForDeletion(seen.get(name), pool);
      if (pool) seen.set(name, pool);
      else seen.delete(name);
      if (!isSame) collector.look();
    },
    synced: () => collector.look(),
  });
  const registry = createMetrics(() => collector.stats);
  requests.register(registry);
  const boundary = new Boundary(log);
  const health = await serveRoutes(config.health, {
    '/healthz': () => text(200, 'ok'),
    '/readyz': () => {
      const { error } = collector.stats;
      return error === undefined ? text(200, 'ready') : text(503, error);
    },
  });
  const metrics = await serveRoutes(config.metrics, {
    '/metrics': () => exposition(registry, boundary),
  });
  const rules = new CrdRules({ client, clock: systemTime, log });
  stopOnSignal(async () => {
    abort.abort();
    collector.close();
    rules.close();
    health.close();
    metrics.close();
  }, log);
  releaseIdleMemory(systemTime);
  log.info({ version: VERSION }, 'controllers started');
  rules.start();
  const peers = new PeerStatusWriter({
    client,
    clock: systemTime,
    log,
    nodes,
    pools,
    reflectorNamespaces: config.reflectorNamespaces,
  });
  registerWatchMetrics(registry, () =>
    watchStates([nodes.informer, pools.informer, configuration.watch, ...peers.watches]),
  );
  await Promise.all([
    nodes.informer.run(abort.signal),
    pools.informer.run(abort.signal),
    configuration.run(abort.signal),
    peers.run(abort.signal),
  ]);
}
