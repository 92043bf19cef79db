/** Makes the parts of an agent and connects them. Nothing here listens, watches or changes the kernel yet. */
import path from 'node:path';
import { viewRoutes } from '../bgp/routes-view.ts';
import { EndpointStore } from '../cni/endpoint-store.ts';
import { Plugin } from '../cni/plugin.ts';
import type { ApiServerAddress } from '../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { EventRecorder } from '../datastore/kubernetes/events.ts';
import { RequestCounter } from '../datastore/kubernetes/request-metrics.ts';
import { ownTable } from '../felix/calc/ruleset.ts';
import { type Dataplane, noStats } from '../felix/dataplane/dataplane.ts';
import { Tunnelling } from '../ipip/tunnelling.ts';
import { InsidePool } from '../kernel/inside-pool.ts';
import { IpSession } from '../kernel/ip-session.ts';
import { Nftables } from '../kernel/nftables.ts';
import { Boundary } from '../lib/boundary.ts';
import { systemClock as clock } from '../lib/clock.ts';
import { createFolder } from '../lib/folder.ts';
import type { Log } from '../lib/log.ts';
import { assertPrivateFolder } from '../lib/unix-socket.ts';
import { nodeInfo, nodeNames } from '../model/node.ts';
import { NodeIdentity } from './identity/node-identity.ts';
import { publishNode } from './identity/node-setup.ts';
import { OwnAddress } from './identity/own-address.ts';
import { addressesFor } from './inputs/address-source.ts';
import { InputReader } from './inputs/agent-inputs.ts';
import { AppliedSettings } from './inputs/applied-settings.ts';
import type { AgentConfig } from './inputs/environment.ts';
import { ObservedHost } from './inputs/observed-host.ts';
import { Quarantine } from './inputs/quarantine.ts';
import { RouteNumbersFile } from './inputs/route-numbers.ts';
import { RulesetCache } from './inputs/ruleset-cache.ts';
import { Topology } from './inputs/topology.ts';
import { View } from './inputs/view.ts';
import { statusOf } from './report/calico-node-status.ts';
import { ConditionReport } from './report/condition-report.ts';
import { NodeCondition } from './report/node-condition.ts';
import { NodeEvents } from './report/node-events.ts';
import { NodeStatusReporter } from './report/node-status-reporter.ts';
import { ObjectEvents } from './report/object-events.ts';
import { ObjectFaults } from './report/object-faults.ts';
import { SelfReport } from './report/report.ts';
import { CniSocket } from './serve/cni-socket.ts';
import { explain } from './serve/explain.ts';
import { createMetrics } from './serve/metrics.ts';
import { Servers } from './serve/servers.ts';
import { SpeakerHost } from './speaker/host.ts';
import { SecretsView } from './speaker/secrets.ts';

/** Stages of the calculation (agent.ts) that pods need. While one has never succeeded, the node lacks the state that it sets. */
const NETWORK_STAGES = [
  'settings',
  'kernel settings',
  'secrets',
  'tunnels',
  'reflectors',
  'BGP',
  'nftables rules',
  'routes',
];

export interface AgentModules {
  readonly api: ApiServerAddress;
  readonly log: Log;
  readonly setSeverity: (severity: string) => void;
}

/** What the parts ask of the loop. */
export interface LoopEvents {
  /** An input changed: calculate soon. */
  readonly changed: () => void;
  /** Learned routes changed: program them now. */
  readonly learned: () => void;
}

/** What changes while the agent runs and belongs to no part. */
export interface AgentState {
  /** Undefined until the node is set up. */
  dataplane: Dataplane | undefined;
  /** Why the node is not set up; undefined when it is. */
  setUpError: string | undefined;
  /** Why changes to BGP are on hold; undefined when they are not. */
  bgpHold: string | undefined;
}

export type Parts = Awaited<ReturnType<typeof wire>>;

/** Makes the parts. Rejects with CodedError CONFIG when the run directory is unusable. */
export async function wire(config: AgentConfig, modules: AgentModules, { changed, learned }: LoopEvents) {
  const { node, runDirectory } = config;
  const { log } = modules;
  const startedAt = clock.now();
  await createFolder(runDirectory, 0o700);
  assertPrivateFolder(runDirectory);
  // Before the folder of the endpoints exists (readRouteNumbers).
  const routeNumbers = new RouteNumbersFile(runDirectory, log);
  const endpoints = await EndpointStore.open(path.join(runDirectory, 'endpoints'), changed, log);

  const state: AgentState = {
    dataplane: undefined,
    setUpError: 'not connected to the API yet',
    bgpHold: undefined,
  };
  const requests = new RequestCounter();
  const client = new KubernetesClient(modules.api, requests);
  const store = client;
  const boundary = new Boundary(log);
  const quarantine = new Quarantine(node, log);
  const nftables = new Nftables(ownTable);
  const session = new IpSession();
  const inside = new InsidePool();

  const view = new View(node, { client, log, changed });
  const secrets = new SecretsView(config.namespace, { client, log, changed });
  const identity = new NodeIdentity(node, view.nodes);
  const observedHost = new ObservedHost();
  const topology = new Topology(config, { clock, changed });
  const inputs = new InputReader({
    config,
    api: modules.api.url.hostname,
    view,
    quarantine,
    endpoints,
    topology,
    host: observedHost,
    self: () => identity.published,
  });
  const settings = new AppliedSettings(config, (next) => {
    modules.setSeverity(next.logSeverity);
    servers.configure(next);
  });
  const ownAddress = new OwnAddress(config, {
    clock,
    log,
    look: () => void state.dataplane?.apply(),
    publish: (addresses) => publishNode(config, store, addresses, log, identity.self),
    adopt: (self) => {
      identity.adopt(self);
      changed();
    },
  });
  const { ipam, upkeep } = addressesFor(config, startedAt, {
    store,
    view,
    endpoints,
    node: () => identity.node,
    adding: () => plugin.adding,
    boundary,
    clock,
    log,
  });
  const tunnelling = new Tunnelling({ store, ipam, clock, log, changed });
  const host = new SpeakerHost(
    config,
    {
      changed,
      learned,
      converged: (seconds) => boundary.run('metrics', () => metrics.observeConvergence(seconds)),
      sessionChanged: changed,
    },
    log,
  );

  const faults = new ObjectFaults(node, { view, secrets, quarantine, boundary });
  const problems = () => faults.all().map(({ problem }) => problem);
  const report = new SelfReport({
    config,
    startedAt,
    view,
    tunnelling,
    host,
    setUpError: () => state.setUpError,
    self: () => identity.published,
    families: () => identity.families,
    stats: () => state.dataplane?.stats,
    nftables,
    endpointCount: () => endpoints.list().length,
    reflectors: () => topology.reflectors,
    objects: problems,
    faults: () => boundary.faults(),
    withoutState: () => boundary.withoutState(NETWORK_STAGES),
    lostPools: () => inputs.lostPools(),
    bgpHold: () => state.bgpHold,
    addressProblems: () => ownAddress.problems,
  });
  const recorder = new EventRecorder('cali-node', { store, clock, log });
  const condition = new NodeCondition(node, { store, clock, log });
  const conditionReport = new ConditionReport(startedAt, {
    condition,
    unavailability: () => report.unavailability(),
    nftables,
    objects: problems,
    clock,
    changed,
  });
  const events = new NodeEvents(node, { recorder, boundary, clock, current: () => report.troubles() });
  const objectEvents = new ObjectEvents(recorder);
  const statusReporter = new NodeStatusReporter(node, {
    store,
    clock,
    log,
    read: (object) =>
      statusOf(object, {
        agent: report.status(),
        routes: ([4, 6] as const).flatMap((family) =>
          host.speaker ? [...viewRoutes(host.speaker.ribs[family])] : [],
        ),
        endpoints: endpoints.list(),
        deviceOf: (destination) => observedHost.deviceOf(destination),
      }),
  });

  const metrics = createMetrics({
    peers: () => host.speaker?.status() ?? [],
    learnedRoutes: () => host.speaker?.learned.size ?? 0,
    dataplane: () => state.dataplane?.stats ?? noStats,
    endpoints: () => endpoints.list().length,
    sync: () => view.sync,
    watches: () => view.watches(),
    tunnels: () => tunnelling.status(),
    isReady: () => report.status().notReady.length === 0,
    routes: () => host.speaker?.routeCount ?? 0,
    nodeNames: () => nodeNames(view.nodes().map(nodeInfo)),
    isDetailed: config.hasDetailedBgpMetrics,
    objects: problems,
  });
  requests.register(metrics.registry);
  const plugin = new Plugin(
    {
      node,
      mtu: () => tunnelling.podMtu(),
      families: () => identity.podFamilies,
      routes: () => ({ ...routeNumbers.numbers, ranges: [] }),
      notReady: () => report.cniNotReady(),
    },
    { store, known: view, ipam, endpoints, inside, session, log, observe: metrics.observeCni },
  );
  const cniSocket = new CniSocket(runDirectory, plugin);
  const servers = new Servers(runDirectory, {
    registry: metrics.registry,
    speaker: () => host.speaker,
    status: () => report.status(),
    explain: (address) =>
      explain(address, {
        pools: view.pools(),
        blocks: inputs.read().blocks,
        speaker: host.speaker,
        endpoints: endpoints.list(),
      }),
    boundary,
    log,
  });
  return {
    config,
    clock,
    log,
    state,
    store,
    boundary,
    quarantine,
    nftables,
    rulesets: new RulesetCache(),
    processes: [session, inside],
    routeNumbers,
    view,
    secrets,
    identity,
    observedHost,
    topology,
    inputs,
    settings,
    ownAddress,
    upkeep,
    tunnelling,
    host,
    faults,
    report,
    recorder,
    condition,
    conditionReport,
    events,
    objectEvents,
    statusReporter,
    metrics,
    cniSocket,
    servers,
  } as const;
}

/** Closes the parts one by one. An error is logged, and the others are closed all the same. */
export async function closeParts(parts: Parts): Promise<void> {
  const close = async (what: string, task: () => unknown) => {
    try {
      await task();
    } catch (error) {
      parts.log.error({ err: error }, `${what}: closing failed`);
    }
  };
  await close('reflectors', () => parts.topology.close());
  await close('start', () => parts.conditionReport.close());
  await close('addresses', () => parts.ownAddress.close());
  await close('IPAM upkeep', () => parts.upkeep?.close());
  await close('secrets', () => parts.secrets.close());
  await close('tunnels', () => parts.tunnelling.close());
  await close('Events', () => parts.events.close());
  await close('status', () => parts.statusReporter.close());
  await close('BGP', () => parts.host.close());
  await close('dataplane', () => parts.state.dataplane?.close());
  await close('processes', () => {
    for (const process of parts.processes) process.close();
  });
  await close('CNI', () => parts.cniSocket.close());
  await close('servers', () => parts.servers.close());
}
