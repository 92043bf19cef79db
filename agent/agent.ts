/**
 * cali-node: connects the datastore, felix, bgp and the CNI plugin in one process.
 *
 *   view (watches) --+--> desiredSpeaker ----> Speaker ----> learned routes --+
 *   endpoints -------+                                                        |
 *        |           +--> desiredRoutes <-------------------------------------+
 *        |                      |
 *   CNI server             Dataplane --> kernel
 *
 * Any change causes one recalculation of everything, after a short delay.
 */
import path from 'node:path';
import { viewRoutes } from '../bgp/routes-view.ts';
import { handleOf } from '../cni/assign-request.ts';
import { EndpointStore } from '../cni/endpoint-store.ts';
import { Plugin } from '../cni/plugin.ts';
import { serveCni } from '../cni/server.ts';
import type { ApiServerAddress } from '../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { EventRecorder } from '../datastore/kubernetes/events.ts';
import { closeSocketsFromOthers } from '../datastore/kubernetes/open-sockets.ts';
import { RequestCounter } from '../datastore/kubernetes/request-metrics.ts';
import { BGP_PORT } from '../felix/calc/bgp/cluster.ts';
import { firstGuard, ownTable } from '../felix/calc/ruleset.ts';
import { Dataplane, noStats } from '../felix/dataplane/dataplane.ts';
import type { AddressSource } from '../ipam/address-source.ts';
import type { IpamUpkeep } from '../ipam/upkeep.ts';
import { Tunnelling, type TunnellingInput } from '../ipip/tunnelling.ts';
import { readAddresses } from '../kernel/addresses.ts';
import { InsidePool } from '../kernel/inside-pool.ts';
import { IpSession } from '../kernel/ip-session.ts';
import { linuxKernel } from '../kernel/linux.ts';
import { Nftables } from '../kernel/nftables.ts';
import type { KernelState } from '../kernel/port.ts';
import { Boundary } from '../lib/boundary.ts';
import { systemClock } from '../lib/clock.ts';
import { createFolder } from '../lib/folder.ts';
import type { Log } from '../lib/log.ts';
import { assertPrivateFolder } from '../lib/unix-socket.ts';
import { type NodeInfo, nodeInfo, nodeNames } from '../model/node.ts';
import type { KernelRoute } from '../model/route.ts';
import { dataplaneFrom, rehearse, rulesetFrom, speakerFrom, tunnellingFrom } from './desired.ts';
import { NodeIdentity } from './identity/node-identity.ts';
import { publishNode } from './identity/node-setup.ts';
import { OwnAddress } from './identity/own-address.ts';
import { setUpNode } from './identity/set-up.ts';
import { addressesFor } from './inputs/address-source.ts';
import { InputReader } from './inputs/agent-inputs.ts';
import type { Cluster, ClusterObjects } from './inputs/cluster.ts';
import type { AgentConfig } from './inputs/environment.ts';
import { listedStore } from './inputs/listed-store.ts';
import { ObservedHost } from './inputs/observed-host.ts';
import { Quarantine } from './inputs/quarantine.ts';
import { RouteNumbersFile } from './inputs/route-numbers.ts';
import { RulesetCache } from './inputs/ruleset-cache.ts';
import { type Settings, settingsFor } from './inputs/settings.ts';
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
import { CNI_SOCKET } from './report/status.ts';
import { explain } from './serve/explain.ts';
import { createMetrics } from './serve/metrics.ts';
import { Servers } from './serve/servers.ts';
import { SpeakerHost } from './speaker/host.ts';
import { SecretsView } from './speaker/secrets.ts';

/** Events come in bursts, and a CNI call that caused them should not wait for the calculation. */
const COALESCE_MS = 10;
/** Stages that pods need. While one has never succeeded, the node lacks the state that it sets. */
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

export class Agent {
  readonly #config: AgentConfig;
  readonly #log: Log;
  readonly #requests = new RequestCounter();
  readonly #client: KubernetesClient;
  readonly #abort = new AbortController();
  readonly #session = new IpSession();
  readonly #inside = new InsidePool();
  readonly #startedAt = Date.now();
  readonly #restart: () => void;
  readonly #condition: NodeCondition;
  readonly #events: NodeEvents;
  readonly #objectEvents: ObjectEvents;
  readonly #recorder: EventRecorder;
  readonly #boundary: Boundary;
  readonly #quarantine: Quarantine;
  /** The settings that were last applied. */
  #lastSettings: Settings | undefined;
  readonly #statusReporter: NodeStatusReporter;
  readonly #ownAddress: OwnAddress;
  #view!: View;
  #endpoints!: EndpointStore;
  #routeNumbers!: RouteNumbersFile;
  #ipam!: AddressSource;
  #secrets!: SecretsView;
  #tunnelling!: Tunnelling;
  readonly #topology: Topology;
  /** Why changes to BGP are on hold; undefined when they are not. */
  #bgpHold: string | undefined;
  #ipamUpkeep: IpamUpkeep | undefined;
  #observeConvergence: (seconds: number) => void = () => {};
  #observeApply: (seconds: number) => void = () => {};
  #servers: Servers | undefined;
  #cniServer: { close(): unknown } | undefined;
  #plugin: Plugin | undefined;
  readonly #observedHost = new ObservedHost();
  /** Host of the API server's URL. */
  readonly #api: string;
  #identity!: NodeIdentity;
  #inputs!: InputReader;
  readonly #nftables = new Nftables(ownTable);
  readonly #rulesets = new RulesetCache();
  #dataplane: Dataplane | undefined;
  readonly #host: SpeakerHost;
  #faults!: ObjectFaults;
  #report!: SelfReport;
  #conditionReport!: ConditionReport;
  #isCalculating = false;
  #setUpError: string | undefined = 'not connected to the API yet';

  readonly #setSeverity: (severity: string) => void;

  constructor(
    config: AgentConfig,
    modules: {
      api: ApiServerAddress;
      log: Log;
      setSeverity: (severity: string) => void;
      /** Starts a new agent in this process, because the Node was replaced. */
      restart: () => void;
    },
  ) {
    this.#config = config;
    this.#host = new SpeakerHost(
      config,
      {
        changed: () => this.#changed(),
        learned: () => this.#program(),
        converged: (seconds) => this.#boundary.run('metrics', () => this.#observeConvergence(seconds)),
        sessionChanged: () => this.#changed(),
      },
      modules.log,
    );
    this.#topology = new Topology(config, { clock: systemClock, changed: () => this.#changed() });
    this.#setSeverity = modules.setSeverity;
    this.#log = modules.log;
    this.#api = modules.api.url.hostname;
    this.#client = new KubernetesClient(modules.api, this.#requests);
    this.#restart = modules.restart;
    const { log } = modules;
    this.#ownAddress = new OwnAddress(config, {
      clock: systemClock,
      log,
      look: () => void this.#dataplane?.apply(),
      publish: (addresses) => publishNode(config, this.#client, addresses, log, this.#identity.self),
      adopt: (self) => this.#adopt(self),
    });
    const store = this.#client;
    this.#condition = new NodeCondition(config.node, { store, clock: systemClock, log });
    const recorder = new EventRecorder('cali-node', { store, clock: systemClock, log });
    this.#recorder = recorder;
    this.#boundary = new Boundary(log);
    this.#events = new NodeEvents(config.node, {
      recorder,
      boundary: this.#boundary,
      clock: systemClock,
      current: () => this.#report.troubles(),
    });
    this.#objectEvents = new ObjectEvents(recorder);
    this.#quarantine = new Quarantine(config.node, log);
    this.#statusReporter = new NodeStatusReporter(config.node, {
      store,
      clock: systemClock,
      log,
      read: (object) =>
        statusOf(object, {
          agent: this.#report.status(),
          routes: ([4, 6] as const).flatMap((family) =>
            this.#host.speaker ? [...viewRoutes(this.#host.speaker.ribs[family])] : [],
          ),
          endpoints: this.#endpoints.list(),
          deviceOf: (destination) => this.#observedHost.deviceOf(destination),
        }),
    });
  }

  /** Starts the agent, which runs until `stop`. Rejects with CodedError CONFIG when the operator must act. */
  async start(): Promise<void> {
    const { runDirectory } = this.#config;
    await createFolder(runDirectory, 0o700);
    assertPrivateFolder(runDirectory);
    this.#routeNumbers = new RouteNumbersFile(runDirectory, this.#log);
    this.#endpoints = await EndpointStore.open(
      path.join(runDirectory, 'endpoints'),
      () => this.#changed(),
      this.#log,
    );
    this.#view = new View(this.#config.node, {
      client: this.#client,
      log: this.#log,
      changed: () => this.#changed(),
    });
    this.#identity = new NodeIdentity(this.#config.node, this.#view.nodes);
    this.#inputs = new InputReader({
      config: this.#config,
      api: this.#api,
      view: this.#view,
      quarantine: this.#quarantine,
      endpoints: this.#endpoints,
      topology: this.#topology,
      host: this.#observedHost,
      self: () => this.#identity.published,
    });
    this.#secrets = new SecretsView(this.#config.namespace, {
      client: this.#client,
      log: this.#log,
      changed: () => this.#changed(),
    });
    const { ipam, upkeep } = addressesFor(this.#config, this.#startedAt, {
      store: this.#client,
      view: this.#view,
      endpoints: this.#endpoints,
      node: () => this.#identity.node,
      adding: () => this.#plugin?.adding ?? [],
      boundary: this.#boundary,
      clock: systemClock,
      log: this.#log,
    });
    this.#ipam = ipam;
    this.#ipamUpkeep = upkeep;
    this.#tunnelling = new Tunnelling({
      store: this.#client,
      ipam: this.#ipam,
      clock: systemClock,
      log: this.#log,
      changed: () => this.#changed(),
    });
    this.#faults = new ObjectFaults(this.#config.node, {
      view: this.#view,
      secrets: this.#secrets,
      quarantine: this.#quarantine,
      boundary: this.#boundary,
    });
    this.#report = new SelfReport({
      config: this.#config,
      startedAt: this.#startedAt,
      view: this.#view,
      tunnelling: this.#tunnelling,
      host: this.#host,
      setUpError: () => this.#setUpError,
      self: () => this.#identity.published,
      families: () => this.#identity.families,
      stats: () => this.#dataplane?.stats,
      nftables: this.#nftables,
      endpointCount: () => this.#endpoints.list().length,
      reflectors: () => this.#topology.reflectors,
      objects: () => this.#faults.all().map(({ problem }) => problem),
      faults: () => this.#boundary.faults(),
      withoutState: () => this.#boundary.withoutState(NETWORK_STAGES),
      lostPools: () => this.#inputs.lostPools(),
      bgpHold: () => this.#bgpHold,
      addressProblems: () => this.#ownAddress.problems,
    });
    this.#conditionReport = new ConditionReport(this.#startedAt, {
      condition: this.#condition,
      unavailability: () => this.#report.unavailability(),
      nftables: this.#nftables,
      objects: () => this.#faults.all().map(({ problem }) => problem),
      clock: systemClock,
      changed: () => this.#changed(),
    });
    // Before pods are added and before BGP listens.
    await this.#nftables.ensure(firstGuard([BGP_PORT, this.#config.reflectorPort]));
    for (const reason of this.#nftables.problems) this.#log.error({ reason }, 'nftables problem');
    await this.#serve();
    void this.#view.run(this.#abort.signal);
    const self = await setUpNode(this.#config, {
      store: listedStore(this.#client, this.#view),
      readAddresses,
      clock: systemClock,
      log: this.#log,
      failed: (reason, isLate) => {
        this.#setUpError = reason;
        // The condition from an earlier agent is outdated.
        if (isLate) this.#condition.update([reason]);
      },
    });
    this.#adopt(self);
    this.#dataplane = new Dataplane(
      { node: this.#config.node },
      {
        clock: systemClock,
        log: this.#log,
        kernel: linuxKernel(this.#log),
        // Changes are calculated after a delay. A check of the kernel needs them at once.
        refresh: () => this.#isCalculating && this.#program(),
        observed: (kernel) => this.#observed(kernel),
        migrated: (left) => this.#migrated(left),
        nftables: this.#nftables,
        guarded: () => this.#changed(),
        applied: (seconds) => this.#boundary.run('metrics', () => this.#observeApply(seconds)),
      },
    );
    this.#setUpError = undefined;
    this.#changed();
  }

  /** Stops without changing the kernel: forwarding continues, and peers keep our routes until the agent restarts. */
  async stop(): Promise<void> {
    const close = async (what: string, task: () => unknown) => {
      try {
        await task();
      } catch (error) {
        this.#log.error({ err: error }, `${what}: closing failed`);
      }
    };
    this.#abort.abort();
    // Some do not exist yet while the agent starts.
    await close('reflectors', () => this.#topology.close());
    await close('start', () => this.#conditionReport?.close());
    await close('addresses', () => this.#ownAddress.close());
    await close('IPAM upkeep', () => this.#ipamUpkeep?.close());
    await close('secrets', () => this.#secrets?.close());
    await close('tunnels', () => this.#tunnelling?.close());
    await close('Events', () => this.#events.close());
    await close('status', () => this.#statusReporter.close());
    await close('BGP', () => this.#host.close());
    await close('dataplane', () => this.#dataplane?.close());
    await close('processes', () => {
      this.#session.close();
      this.#inside.close();
    });
    await close('CNI', () => this.#cniServer?.close());
    await close('servers', () => this.#servers?.close());
  }

  /** Writes an Event about this Node with the reason why the process ends. */
  async tell(sentence: string): Promise<void> {
    await this.#recorder.writeOfNode(this.#config.node, {
      type: 'Warning',
      reason: 'AgentCrashed',
      message: sentence,
    });
  }

  /** Uses these addresses of the node from now on. */
  #adopt(self: NodeInfo): void {
    this.#identity.adopt(self);
    this.#changed();
  }

  #changed(): void {
    this.#rulesets.invalidate();
    if (this.#isCalculating) return;
    this.#isCalculating = true;
    setTimeout(() => {
      this.#isCalculating = false;
      this.#boundary.run('calculation', () => this.#calculate());
    }, COALESCE_MS);
  }

  /** Runs the stages. They are independent: one that fails keeps its last state, and the others run. */
  #calculate(): void {
    const dataplane = this.#dataplane;
    if (!dataplane || !this.#view.isSynced || this.#abort.signal.aborted) return;
    const stage = (name: string, task: () => void) => this.#boundary.run(name, task);
    if (this.#boundary.value('identity', () => this.#isAnotherNode())) return;
    const objects = this.#inputs.objects();
    const cluster = this.#inputs.cluster();
    this.#rulesets.invalidate();
    const results = [
      stage('settings', () => this.#applySettings()),
      stage('kernel settings', () => {
        this.#routeNumbers.configure(this.#lastSettings!.routeProtocols);
        dataplane.configure({ ...this.#lastSettings!, families: this.#identity.podFamilies });
      }),
      stage('IPAM upkeep', () => this.#ipamUpkeep?.update()),
      stage('secrets', () => this.#secrets.follow(cluster.bgpConfigurations(), cluster.bgpPeers())),
      stage('tunnels', () => this.#tunnelling.update(this.#tunnellingInput(cluster, this.#lastSettings!))),
      stage('reflectors', () => this.#topology.update(cluster)),
      stage('BGP', () => this.#configureBgp(cluster)),
      stage('addresses', () => this.#followAddresses()),
      this.#program(),
    ];
    const isGood = results.every(Boolean);
    if (isGood) this.#quarantine.passed(objects, this.#quarantine.filter(objects));
    else if (this.#boundary.value('quarantine', () => this.#investigate(objects))) this.#changed();
  }

  #configureBgp(cluster: Cluster): void {
    const unknown = this.#faults.unknownConfiguration();
    this.#bgpHold = unknown;
    if (unknown) {
      this.#host.wait(unknown);
      return;
    }
    // Otherwise wait: `guarded` will call.
    if (!this.#nftables.isTried) return;
    if (this.#config.backend === 'bird')
      this.#host.configure(this.#identity.self!, this.#identity.families, cluster.bgpConfigurations());
    this.#host.speaker?.setDesired(speakerFrom(this.#inputs.read(cluster), this.#secrets.value));
  }

  #tunnellingInput(cluster: Cluster, settings: Settings): TunnellingInput {
    return tunnellingFrom(cluster, settings, {
      self: this.#identity.published!,
      families: this.#identity.families,
      isUncertain: this.#inputs.absentPools().length > 0,
    });
  }

  /** Searches for objects that make a calculation throw. Returns whether it found one. Changes nothing else. */
  #investigate(objects: ClusterObjects): boolean {
    return this.#quarantine.investigate(objects, (some) => {
      const cluster = this.#inputs.cluster(some);
      const settings = this.#settings(cluster);
      rehearse(this.#inputs.read(cluster), settings, this.#tunnellingInput(cluster, settings), {
        tunnelling: this.#tunnelling,
        secrets: this.#secrets.value,
        numbers: this.#routeNumbers.numbers,
      });
    });
  }

  /** Restarts the agent if its Node was replaced. Returns whether it was. */
  #isAnotherNode(): boolean {
    if (!this.#identity.isReplaced()) return false;
    const { self } = this.#identity;
    this.#log.warn({ addresses: self?.addresses }, 'this Node was deleted and recreated: restarting');
    this.#dataplane?.close();
    this.#restart();
    return true;
  }

  /** Handles a check of the kernel: devices, MTU and addresses may have changed. */
  #observed(kernel: KernelState): void {
    this.#boundary.run('kernel check', () => this.#take(kernel));
  }

  #take(kernel: KernelState): void {
    const isAnotherHost = this.#observedHost.observe(kernel, this.#routeNumbers.numbers);
    if (isAnotherHost) {
      const present = new Set(kernel.addresses.map(({ cidr }) => cidr.split('/')[0]!));
      const count = closeSocketsFromOthers(present);
      if (count > 0) this.#log.info({ count }, 'closing API connections from a removed address');
    }
    if (this.#tunnelling.observe(kernel, this.#dataplane?.stats.missingTunnels ?? {}) || isAnotherHost)
      this.#changed();
    this.#followAddresses();
    this.#boundary.run('Events', () => this.#events.update(this.#report.troubles()));
  }

  /** Checks whether interfaces and the Node's annotations still have the addresses in use. */
  #followAddresses(): void {
    const { interfaces } = this.#observedHost;
    const { self, node } = this.#identity;
    if (self && interfaces) this.#ownAddress.update(self, node, interfaces);
  }

  /** Handles the end of a migration: our routes have current protocol numbers. The operator should check the others. */
  #migrated(left: readonly KernelRoute[]): void {
    if (!this.#routeNumbers.migrated()) return;
    this.#log.info({}, 'migration finished: all Cali routes have the current protocol numbers');
    if (left.length > 0)
      this.#log.warn(
        { count: left.length, routes: left.slice(0, 20).map(({ destination }) => destination) },
        'routes with a former Cali protocol number remain: another program may have added them',
      );
    this.#changed();
  }

  /** Calculates the dataplane from endpoints, blocks and learned routes, and reports. Returns false on failure. */
  #program(): boolean {
    const stage = (name: string, task: () => void) => this.#boundary.run(name, task);
    const rules = this.#boundary.value('nftables rules', () =>
      this.#rulesets.current(() => rulesetFrom(this.#inputs.read(), this.#lastSettings!, this.#tunnelling)),
    );
    const inForce = rules ?? this.#rulesets.last;
    const isGood = stage('routes', () => {
      if (!inForce) return;
      const isComplete = this.#config.backend !== 'bird' || (this.#host.speaker?.isSettled ?? false);
      const routes = [...(this.#host.speaker?.learned.values() ?? [])];
      this.#dataplane?.setDesired(
        dataplaneFrom(
          this.#inputs.read(),
          this.#lastSettings ?? this.#applySettings(),
          this.#tunnelling,
          { routes, isComplete },
          this.#routeNumbers.numbers,
          inForce,
        ),
      );
    });
    stage('condition', () => this.#conditionReport.update());
    stage('Events', () => this.#events.update(this.#report.troubles()));
    stage('Events of objects', () => this.#objectEvents.update(this.#faults.all()));
    stage('CalicoNodeStatus', () => this.#statusReporter.update(this.#view.nodeStatuses()));
    return isGood && rules !== undefined;
  }

  async #serve(): Promise<void> {
    const config = this.#config;
    const metrics = createMetrics({
      peers: () => this.#host.speaker?.status() ?? [],
      learnedRoutes: () => this.#host.speaker?.learned.size ?? 0,
      dataplane: () => this.#dataplane?.stats ?? noStats,
      endpoints: () => this.#endpoints.list().length,
      sync: () => this.#view.sync,
      watches: () => this.#view.watches(),
      tunnels: () => this.#tunnelling.status(),
      isReady: () => this.#report.status().notReady.length === 0,
      routes: () => this.#host.speaker?.routeCount ?? 0,
      nodeNames: () => nodeNames(this.#view.nodes().map(nodeInfo)),
      isDetailed: config.hasDetailedBgpMetrics,
      objects: () => this.#faults.all().map(({ problem }) => problem),
    });
    this.#requests.register(metrics.registry);
    this.#observeConvergence = metrics.observeConvergence;
    this.#observeApply = metrics.observeApply;
    const plugin = new Plugin(
      {
        node: config.node,
        mtu: () => this.#tunnelling.podMtu(),
        families: () => this.#identity.podFamilies,
        routes: () => ({ ...this.#routeNumbers.numbers, ranges: [] }),
        notReady: () => this.#report.cniNotReady(),
      },
      {
        store: this.#client,
        known: this.#view,
        ipam: this.#ipam,
        endpoints: this.#endpoints,
        inside: this.#inside,
        session: this.#session,
        log: this.#log,
        observe: metrics.observeCni,
      },
    );
    this.#plugin = plugin;
    this.#cniServer = await serveCni(path.join(config.runDirectory, CNI_SOCKET), plugin);
    this.#servers = new Servers(config.runDirectory, {
      registry: metrics.registry,
      speaker: () => this.#host.speaker,
      status: () => this.#report.status(),
      explain: (address) =>
        explain(address, {
          pools: this.#view.pools(),
          blocks: this.#inputs.read().blocks,
          speaker: this.#host.speaker,
          endpoints: this.#endpoints.list(),
        }),
      boundary: this.#boundary,
      log: this.#log,
    });
    await this.#servers.start();
    this.#applySettings();
  }

  #settings({ felixConfigurations, bgpConfigurations }: Cluster): Settings {
    return settingsFor(this.#config, felixConfigurations(), bgpConfigurations());
  }

  /** Applies the current configuration; before the datastore is in sync, the defaults. */
  #applySettings(): Settings {
    const settings = this.#settings(this.#inputs.cluster());
    this.#lastSettings = settings;
    this.#setSeverity(settings.logSeverity);
    this.#servers?.configure(settings);
    return settings;
  }
}
