/** Makes the parts of an agent and connects them. Nothing here listens, watches or changes the kernel yet. */
import type { Registry } from 'prom-client';
import { viewRoutes } from '../bgp/routes-view.ts';
import type { Transport } from '../bgp/transport/port.ts';
import type { EndpointFiles } from '../cni/endpoint-folder.ts';
import { EndpointStore } from '../cni/endpoint-store.ts';
import { Plugin } from '../cni/plugin.ts';
import type { ServeCni } from '../cni/server.ts';
import type { ClusterApi } from '../datastore/datastore.ts';
import { EventRecorder } from '../datastore/kubernetes/events.ts';
import { ownTable } from '../felix/calc/ruleset.ts';
import type { Dataplane } from '../felix/dataplane/dataplane.ts';
import { noStats } from '../felix/dataplane/stats.ts';
import { Tunnelling } from '../ipip/tunnelling.ts';
import { Nftables } from '../kernel/nftables.ts';
import type { Kernel } from '../kernel/port.ts';
import { Boundary } from '../lib/boundary.ts';
import { createFolder } from '../lib/folder.ts';
import type { ServeRoutes } from '../lib/http.ts';
import type { Log } from '../lib/log.ts';
import type { Time } from '../lib/time.ts';
import { assertPrivateFolder } from '../lib/unix-socket.ts';
import { nodeInfo, nodeNames } from '../model/node.ts';
import { sourceFinder } from './identity/autodetect.ts';
import { NodeIdentity } from './identity/node-identity.ts';
import { publishNode } from './identity/node-setup.ts';
import { OwnAddress } from './identity/own-address.ts';
import { addressSourceFor, upkeepFor } from './inputs/address-source.ts';
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
import { createMetrics, type Metrics } from './serve/metrics.ts';
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

/** The API server. */
export interface ApiPort {
  readonly client: ClusterApi;
  /** Host name or address of the server. */
  readonly hostname: string;
  /** Registers metrics of the requests. */
  readonly register: (registry: Registry) => void;
}

/** The ports, and what the process does for the agent. */
export interface AgentModules {
  readonly api: ApiPort;
  readonly kernel: Kernel;
  readonly time: Time;
  readonly transport: Transport;
  readonly files: EndpointFiles;
  /** Start servers for the container runtime, and for calictl, probes and Prometheus. */
  readonly serve: { readonly cni: ServeCni; readonly http: ServeRoutes };
  readonly log: Log;
  readonly setSeverity: (severity: string) => void;
}

/** What the parts ask of the loop. */
export interface LoopEvents {
  /** An input changed: calculate soon. */
  readonly changed: () => void;
  /** Learned routes changed: program them now. */
  readonly learned: () => void;
  /** BGP converged after this time, seconds. */
  readonly converged: (seconds: number) => void;
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

/** The parts of an agent. */
export type Parts = Sources & Workers & Reports & Services;
type Sources = Readonly<Awaited<ReturnType<typeof makeSources>>>;
type Workers = Readonly<ReturnType<typeof makeWorkers>>;
type Reports = Readonly<ReturnType<typeof makeReports>>;
type Services = Readonly<ReturnType<typeof makeServices>>;

/** Makes the parts. Rejects with CodedError CONFIG when the run directory is unusable. */
export async function wire(config: AgentConfig, modules: AgentModules, loop: LoopEvents): Promise<Parts> {
  const sources = await makeSources(config, modules, loop);
  const workers = makeWorkers(sources, loop);
  const reports = makeReports(sources, workers, loop);
  const services = makeServices(sources, workers, reports, modules);
  return { ...sources, ...workers, ...reports, ...services };
}

/** The state that calculations read: files of the run directory, the copy of the datastore, this node and its host. */
async function makeSources(
  config: AgentConfig,
  { api, kernel, time, transport, files, log }: AgentModules,
  { changed }: LoopEvents,
) {
  const { node, runDirectory, namespace } = config;
  const startedAt = time.now();
  await createFolder(runDirectory, 0o700);
  assertPrivateFolder(runDirectory);
  // Before the folder of the endpoints exists (readRouteNumbers).
  const routeNumbers = new RouteNumbersFile(runDirectory, log);
  const endpoints = await EndpointStore.open(files, changed, log);
  const { client } = api;
  const clock = time;
  const view = new View(node, { client, time, log, changed });
  const secrets = new SecretsView(namespace, { client, time, log, changed });
  const identity = new NodeIdentity(node, view.nodes);
  const observedHost = new ObservedHost();
  const topology = new Topology(config, { clock, changed });
  const quarantine = new Quarantine(node, log, time);
  const inputs = new InputReader({
    config,
    api: api.hostname,
    view,
    quarantine,
    endpoints,
    topology,
    host: observedHost,
    self: () => identity.published,
  });
  const boundary = new Boundary(log);
  const state: AgentState = {
    dataplane: undefined,
    setUpError: 'not connected to the API yet',
    bgpHold: undefined,
  };
  return {
    ...{
      config,
      api,
      clock,
      time,
      kernel,
      transport,
      log,
      startedAt,
      state,
      store: client,
      boundary,
      quarantine,
    },
    ...{ routeNumbers, endpoints, view, secrets, identity, observedHost, topology, inputs },
  };
}

/** The parts that change something: the kernel, the Node's addresses, IPAM and BGP sessions. */
function makeWorkers(sources: Sources, { changed, learned, converged }: LoopEvents) {
  const { config, clock, time, kernel, transport, log, store, state, identity, view, endpoints } = sources;
  const node = () => identity.node;
  const sourceTowards = sourceFinder(kernel);
  const ipam = addressSourceFor(config, { store, view, endpoints, node, clock });
  const ownAddress = new OwnAddress(config, {
    clock,
    log,
    look: () => void state.dataplane?.apply(),
    sourceTowards,
    publish: (addresses) => publishNode(config, { store, addresses, sourceTowards, log }, identity.self),
    adopt: (self) => {
      identity.adopt(self);
      changed();
    },
  });
  return {
    ipam,
    ownAddress,
    tunnelling: new Tunnelling({ store, ipam, clock, log, changed }),
    host: new SpeakerHost(
      config,
      { changed, learned, converged, sessionChanged: changed },
      { time, transport, log },
    ),
    nftables: new Nftables(ownTable, kernel.nft),
    rulesets: new RulesetCache(),
  };
}

/** The parts that report the agent's state: to the API, and to the servers. */
function makeReports(sources: Sources, workers: Workers, { changed }: LoopEvents) {
  const { config, clock, log, startedAt, state, store, boundary, quarantine, view, secrets, identity } =
    sources;
  const { tunnelling, host, nftables } = workers;
  const { node } = config;
  const faults = new ObjectFaults(node, { view, secrets, quarantine, boundary });
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
    endpointCount: () => sources.endpoints.list().length,
    reflectors: () => sources.topology.reflectors,
    objects: () => faults.problems(),
    faults: () => boundary.faults(),
    withoutState: () => boundary.withoutState(NETWORK_STAGES),
    lostPools: () => sources.inputs.lostPools(),
    bgpHold: () => state.bgpHold,
    addressProblems: () => workers.ownAddress.problems,
  });
  const recorder = new EventRecorder('cali-node', { store, clock, log });
  const condition = new NodeCondition(node, { store, clock, log });
  const conditionReport = new ConditionReport(startedAt, {
    condition,
    unavailability: () => report.unavailability(),
    nftables,
    objects: () => faults.problems(),
    clock,
    changed,
  });
  const events = new NodeEvents(node, { recorder, boundary, clock, current: () => report.troubles() });
  const objectEvents = new ObjectEvents(recorder);
  const statusReporter = makeStatusReporter(sources, workers, report);
  return { faults, report, recorder, condition, conditionReport, events, objectEvents, statusReporter };
}

function makeStatusReporter(sources: Sources, { host }: Workers, report: SelfReport): NodeStatusReporter {
  const { config, clock, log, store, endpoints, observedHost } = sources;
  return new NodeStatusReporter(config.node, {
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
}

/** The parts that answer requests: of the container runtime, of calictl, of probes and of Prometheus. */
function makeServices(sources: Sources, workers: Workers, reports: Reports, modules: AgentModules) {
  const {
    config,
    clock,
    time,
    kernel,
    log,
    startedAt,
    store,
    boundary,
    view,
    identity,
    endpoints,
    routeNumbers,
  } = sources;
  const { ipam, tunnelling } = workers;
  const { node, runDirectory } = config;
  const metrics = makeMetrics(sources, workers, reports);
  const plugin = new Plugin(
    {
      node,
      mtu: () => tunnelling.podMtu(),
      families: () => identity.podFamilies,
      routes: () => ({ ...routeNumbers.numbers, ranges: [] }),
      notReady: () => reports.report.cniNotReady(),
    },
    { store, known: view, ipam, endpoints, kernel, time, log, observe: metrics.observeCni },
  );
  const adding = () => plugin.adding;
  const upkeep = upkeepFor({ node, startedAt }, ipam, {
    store,
    view,
    endpoints,
    adding,
    boundary,
    clock,
    log,
  });
  const servers = makeServers(sources, workers, reports, {
    registry: metrics.registry,
    serve: modules.serve.http,
  });
  const settings = new AppliedSettings(config, (next) => {
    modules.setSeverity(next.logSeverity);
    servers.configure(next);
  });
  return {
    metrics,
    upkeep,
    cniSocket: new CniSocket(runDirectory, plugin, { serve: modules.serve.cni, clock }),
    servers,
    settings,
  };
}

function makeMetrics(sources: Sources, { host, tunnelling }: Workers, { report, faults }: Reports): Metrics {
  const { config, state, view, endpoints } = sources;
  const metrics = createMetrics({
    time: sources.time,
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
    objects: () => faults.problems(),
  });
  sources.api.register(metrics.registry);
  return metrics;
}

function makeServers(
  { config, clock, kernel, log, boundary, view, inputs, endpoints }: Sources,
  { host }: Workers,
  { report }: Reports,
  modules: { registry: Metrics['registry']; serve: ServeRoutes },
): Servers {
  return new Servers(config.runDirectory, {
    ...modules,
    speaker: () => host.speaker,
    status: () => report.status(),
    explain: (address) =>
      explain(address, {
        pools: view.pools(),
        blocks: inputs.read().blocks,
        speaker: host.speaker,
        endpoints: endpoints.list(),
        kernel,
      }),
    boundary,
    clock,
    log,
  });
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
  await close('kernel', () => parts.kernel.close());
  await close('CNI', () => parts.cniSocket.close());
  await close('servers', () => parts.servers.close());
}
