/**
 * cali-node: joins the datastore, felix, bgp and the CNI plugin in one process.
 *
 *   view (watches) --+--> desiredSpeaker ----> Speaker ----> learned routes --+
 *   endpoints -------+                                                        |
 *        |           +--> desiredRoutes <-------------------------------------+
 *        |                      |
 *   CNI server             Dataplane --> kernel
 *
 * Any change leads to one recalculation of everything, a moment later.
 */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { PeerStatus } from '../bgp/peer-config.ts';
import { Speaker } from '../bgp/speaker.ts';
import { EndpointStore } from '../cni/endpoint-store.ts';
import { InsidePool } from '../cni/inside-pool.ts';
import { IpSession } from '../cni/ip-session.ts';
import { Plugin } from '../cni/plugin.ts';
import { serveCni } from '../cni/server.ts';
import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import type { Endpoint as ApiEndpoint } from '../datastore/kubernetes/kube-config.ts';
import { asNumberOf, listenPort, normalPriority } from '../felix/calc/bgp/cluster.ts';
import { type ServiceRoutes, serviceRoutes } from '../felix/calc/bgp/services.ts';
import { desiredSpeaker, reachablePeers } from '../felix/calc/bgp/speaker.ts';
import { encapsulationWarnings } from '../felix/calc/encapsulation.ts';
import { exportedPrefixes, type OwnPrefixes, ownPrefixes } from '../felix/calc/own-prefixes.ts';
import { desiredRoutes } from '../felix/calc/routes.ts';
import { type NodeInfo, nodeInfo } from '../felix/calc/topology.ts';
import { Dataplane } from '../felix/dataplane/dataplane.ts';
import { Ipam } from '../ipam/ipam.ts';
import { Backoff } from '../lib/backoff.ts';
import { type Family, parseAddress } from '../lib/cidr.ts';
import { systemClock } from '../lib/clock.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { VERSION } from '../lib/version.ts';
import { type InterfaceAddress, readAddresses } from './addresses.ts';
import { bgpRoutes } from './bgp-api.ts';
import type { AgentConfig } from './config.ts';
import { explain } from './explain.ts';
import { json, MovingServer, serveRoutes, text } from './http.ts';
import { createMetrics } from './metrics.ts';
import { ensureDefaults, publishNode, routerIdOf } from './node-setup.ts';
import { Observers } from './observers.ts';
import { SecretsView } from './secrets.ts';
import { type Settings, settingsFor } from './settings.ts';
import { AGENT_SOCKET, type AgentStatus, CNI_SOCKET } from './status.ts';
import { View } from './view.ts';

const LISTEN_RETRY_MS = 5_000;
/** Events come in bursts, and a CNI call that made them should not wait for what follows from them. */
const COALESCE_MS = 10;

export class Agent {
  readonly #config: AgentConfig;
  readonly #log: Log;
  readonly #client: KubernetesClient;
  readonly #abort = new AbortController();
  readonly #servers: { close(): unknown }[] = [];
  readonly #session = new IpSession();
  readonly #inside = new InsidePool();
  readonly #startedAt = Date.now();
  #view!: View;
  #endpoints!: EndpointStore;
  #ipam!: Ipam;
  #secrets!: SecretsView;
  #observers: Observers | undefined;
  #isRepaired = false;
  #observeConvergence: (seconds: number) => void = () => {};
  #health: MovingServer | undefined;
  #metrics: MovingServer | undefined;
  #self: NodeInfo | undefined;
  #families: readonly Family[] = [];
  #uplinkMtu = 1500;
  #dataplane: Dataplane | undefined;
  #speaker: Speaker | undefined;
  #speakerError: string | undefined = 'not started yet';
  #isCalculating = false;
  #setUpError: string | undefined = 'not connected to the API yet';

  readonly #setSeverity: (severity: string) => void;

  constructor(
    config: AgentConfig,
    modules: { api: ApiEndpoint; log: Log; setSeverity: (severity: string) => void },
  ) {
    this.#config = config;
    this.#setSeverity = modules.setSeverity;
    this.#log = modules.log;
    this.#client = new KubernetesClient(modules.api);
  }

  /** Runs until `stop`. Rejects with CodedError CONFIG where a person has to act. */
  async start(): Promise<void> {
    const { runDirectory } = this.#config;
    await mkdir(runDirectory, { recursive: true });
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
    this.#secrets = new SecretsView(this.#config.namespace, {
      client: this.#client,
      log: this.#log,
      changed: () => this.#changed(),
    });
    this.#ipam = new Ipam(
      { node: this.#config.node },
      { store: this.#client, view: this.#view, clock: systemClock },
    );
    await this.#serve();
    void this.#view.run(this.#abort.signal);
    this.#self = await this.#setUp();
    this.#families = ([4, 6] as const).filter((family) => this.#self!.addresses[family]);
    this.#dataplane = new Dataplane({ families: this.#families }, { clock: systemClock, log: this.#log });
    this.#setUpError = undefined;
    this.#changed();
  }

  /** Ends without touching the kernel: forwarding goes on, peers keep our routes until we are back. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#secrets.close();
    this.#observers?.close();
    await this.#speaker?.close(true);
    this.#dataplane?.close();
    this.#session.close();
    this.#inside.close();
    for (const server of this.#servers) server.close();
    await Promise.all([this.#health?.close(), this.#metrics?.close()]);
    for (const socket of [AGENT_SOCKET, CNI_SOCKET])
      await rm(path.join(this.#config.runDirectory, socket), { force: true });
  }

  /** Addresses and cluster defaults, tried until the API answers. */
  async #setUp(): Promise<NodeInfo> {
    const backoff = new Backoff({ firstMs: 200, maxMs: 5_000 });
    for (;;) {
      try {
        const addresses = await readAddresses();
        const self = await publishNode(this.#config, this.#client, addresses, this.#log);
        await ensureDefaults(this.#client);
        this.#uplinkMtu = mtuOf(self, addresses);
        return self;
      } catch (error) {
        if (error instanceof CodedError && error.code === 'CONFIG') throw error;
        this.#setUpError = messageOf(error);
        this.#log.warn({ reason: this.#setUpError }, 'waiting for the API');
        await new Promise((resolve) => setTimeout(resolve, backoff.next()));
      }
    }
  }

  #changed(): void {
    if (this.#isCalculating) return;
    this.#isCalculating = true;
    setTimeout(() => {
      this.#isCalculating = false;
      this.#calculate();
    }, COALESCE_MS);
  }

  #calculate(): void {
    const dataplane = this.#dataplane;
    if (!dataplane || !this.#view.isSynced || this.#abort.signal.aborted) return;
    const { node, holdTimeSeconds, restartTimeSeconds } = this.#config;
    const view = this.#view;
    const settings = this.#applySettings();
    dataplane.configure(settings);
    this.#repairOnce();
    this.#secrets.follow(view.bgpConfigurations(), view.bgpPeers());
    this.#startSpeaker();
    this.#observers?.configure(view.bgpConfigurations());
    this.#speaker?.setDesired(
      desiredSpeaker({
        node,
        nodes: view.nodes().map(nodeInfo),
        configurations: view.bgpConfigurations(),
        peers: view.bgpPeers(),
        pools: view.pools(),
        originated: [
          ...exportedPrefixes(this.#ownPrefixes(), view.pools()),
          ...this.#serviceRoutes().announced,
        ].map((prefix) => ({ prefix })),
        filters: view.bgpFilters(),
        secrets: this.#secrets.value,
        workloads: this.#endpoints.list().flatMap(({ namespace, pod, addresses }) => {
          const labels = namespace && pod ? (view.pod(namespace, pod)?.metadata.labels ?? {}) : undefined;
          return labels ? [{ labels, addresses }] : [];
        }),
        holdTimeSeconds,
        restartTimeSeconds,
      }),
    );
    this.#program();
  }

  #repairOnce(): void {
    if (this.#isRepaired) return;
    this.#isRepaired = true;
    this.#ipam.repair(this.#view.affinities()).then(
      (blocks) =>
        blocks.length > 0 &&
        this.#log.warn({ blocks }, 'confirmed affinities that an earlier agent left half-way'),
      (error: unknown) => {
        this.#log.warn(
          { reason: messageOf(error) },
          'affinities not repaired: trying again with the next change',
        );
        this.#isRepaired = false;
      },
    );
  }

  /** Hands felix what follows from endpoints, blocks and learned routes. */
  #program(): void {
    const endpoints = this.#endpoints.list();
    const { blocks } = this.#ownPrefixes();
    this.#dataplane?.setDesired({
      routes: desiredRoutes({
        endpoints,
        blocks,
        learned: this.#speaker?.learned.values() ?? [],
        refused: this.#serviceRoutes().refused,
        reachable: reachablePeers(this.#view.bgpPeers(), this.#config.node, this.#view.nodeLabels()),
        normalPriorities: {
          4: normalPriority(4, this.#view.bgpConfigurations()),
          6: normalPriority(6, this.#view.bgpConfigurations()),
        },
      }),
      endpoints,
      isLearnedComplete: this.#speaker?.isSettled ?? false,
    });
  }

  #ownPrefixes(): OwnPrefixes {
    const { blocks, affinities } = this.#view;
    return ownPrefixes(this.#config.node, blocks(), affinities(), this.#endpoints.list());
  }

  #serviceRoutes(): ServiceRoutes {
    const { bgpConfigurations, services, slices, nodeLabels } = this.#view;
    return serviceRoutes({
      node: this.#config.node,
      nodeLabels: nodeLabels(),
      configurations: bgpConfigurations(),
      services: services(),
      slices: slices(),
    });
  }

  #startSpeaker(): void {
    if (this.#speaker || this.#speakerError !== 'not started yet' || !this.#self) return;
    this.#speakerError = 'starting';
    const { restartTimeSeconds, unreachableSeconds } = this.#config;
    const defaults = this.#view.bgpConfigurations().find(({ metadata }) => metadata.name === 'default');
    const addresses: Partial<Record<Family, string>> = {};
    for (const family of this.#families) addresses[family] = this.#self.addresses[family]!.address;
    const speaker = new Speaker(
      {
        identifier: routerIdOf(this.#config, this.#self),
        addresses,
        port: listenPort(this.#config.node, this.#view.bgpConfigurations()),
        listenAddresses: defaults?.spec.bindMode === 'NodeIP' ? Object.values(addresses) : undefined,
        hasKernel: true,
        deferralSeconds: restartTimeSeconds,
        unreachableSeconds,
      },
      {
        clock: systemClock,
        log: this.#log,
        events: {
          changed: () => this.#program(),
          converged: (seconds) => this.#observeConvergence(seconds),
        },
      },
    );
    speaker.listen().then(
      () => {
        this.#speaker = speaker;
        this.#observers = new Observers(speaker, this.#config.wireLog, this.#log);
        this.#speakerError = undefined;
        this.#changed();
      },
      (error: unknown) => {
        // Pods on this node go on; the other nodes are cut off until somebody acts, or the port is free.
        if (this.#speakerError !== messageOf(error))
          this.#log.error({ reason: messageOf(error) }, 'BGP is not running');
        this.#speakerError = messageOf(error);
        setTimeout(() => {
          this.#speakerError = 'not started yet';
          this.#changed();
        }, LISTEN_RETRY_MS).unref();
      },
    );
  }

  async #serve(): Promise<void> {
    const config = this.#config;
    const metrics = createMetrics({
      peers: () => this.#speaker?.status() ?? [],
      learnedRoutes: () => this.#speaker?.learned.size ?? 0,
      dataplane: () =>
        this.#dataplane?.stats ?? { applies: 0, failures: 0, lastApplySeconds: 0, routes: 0, problems: [] },
      endpoints: () => this.#endpoints.list().length,
      isSynced: () => this.#view.isSynced,
      ribPrefixes: () => this.#speaker?.routeCount ?? 0,
    });
    this.#observeConvergence = metrics.observeConvergence;
    const plugin = new Plugin(
      {
        node: config.node,
        mtu: () => this.#uplinkMtu,
        families: () => this.#families,
        notReady: () => this.#cniNotReady(),
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
    this.#servers.push(await serveCni(path.join(config.runDirectory, CNI_SOCKET), plugin));
    const local = {
      '/v1/status': () => json(this.status()),
      ...bgpRoutes(() => this.#speaker),
      '/v1/explain': async (query: URLSearchParams) => {
        const address = query.get('address') ?? '';
        if (!parseAddress(address)) return text(400, `"${address}" is no IP address`);
        const sources = { view: this.#view, speaker: this.#speaker, endpoints: this.#endpoints.list() };
        return json(await explain(address, sources));
      },
    };
    this.#servers.push(await serveRoutes({ path: path.join(config.runDirectory, AGENT_SOCKET) }, local));
    const health = () => text(200, 'ok');
    const ready = () => {
      const reasons = this.#notReady();
      return reasons.length === 0 ? text(200, 'ready') : text(503, reasons.join('\n'));
    };
    this.#health = new MovingServer({
      '/healthz': health,
      '/liveness': health,
      '/readyz': ready,
      '/readiness': ready,
    });
    const exposition = async () => ({
      code: 200,
      type: metrics.registry.contentType,
      body: await metrics.registry.metrics(),
    });
    this.#metrics = new MovingServer({ '/metrics': exposition });
    this.#applySettings();
  }

  /** Takes over what the configuration says now; before the datastore is in sync that is the defaults. */
  #applySettings(): Settings {
    const settings = settingsFor(
      this.#config,
      this.#view.felixConfigurations(),
      this.#view.bgpConfigurations(),
    );
    const warn = (error: unknown) => this.#log.warn({ reason: messageOf(error) }, 'cannot serve HTTP');
    this.#setSeverity(settings.logSeverity);
    this.#health?.moveTo(settings.health, warn);
    this.#metrics?.moveTo(settings.metrics, warn);
    return settings;
  }

  /** Why no pod can be added; undefined when one can. */
  #cniNotReady(): string | undefined {
    if (this.#setUpError) return this.#setUpError;
    if (!this.#view.isSynced) return 'the datastore is not in sync yet';
    return this.#view.clusterInformation()?.datastoreReady === false
      ? 'ClusterInformation default says datastoreReady: false'
      : undefined;
  }

  #notReady(): string[] {
    const reasons: string[] = [];
    const cni = this.#cniNotReady();
    if (cni) reasons.push(cni);
    if (this.#speakerError) reasons.push(`BGP: ${this.#speakerError}`);
    if (this.#dataplane?.stats.applies === 0) reasons.push('the dataplane has not been applied yet');
    const peers = this.#nodePeers();
    const down = peers.filter(({ state }) => state !== 'Established').map(({ config }) => config.address);
    if (peers.length > 0 && down.length === peers.length)
      reasons.push(`BGP not established with ${down.join(',')}`);
    return reasons;
  }

  #warnings(): string[] {
    if (!this.#self || !this.#speaker) return [];
    return encapsulationWarnings(this.#self, this.#view.pools(), this.#speaker.learned.values());
  }

  /** Peers that say something about the node: pods that are BGP peers come and go (Calico B-068). */
  #nodePeers(): PeerStatus[] {
    return (this.#speaker?.status() ?? []).filter(({ config }) => config.peerType !== 'local workload');
  }

  status(): AgentStatus {
    const stats = this.#dataplane?.stats;
    return {
      node: this.#config.node,
      version: VERSION,
      pid: process.pid,
      startedAt: this.#startedAt,
      notReady: this.#notReady(),
      bgp: {
        error: this.#speakerError,
        asNumber: this.#self && asNumberOf(this.#self, this.#view.bgpConfigurations()),
        routerId: this.#self && routerIdOf(this.#config, this.#self),
        families: this.#families,
        isSettled: this.#speaker?.isSettled ?? false,
        peers: this.#nodePeers(),
      },
      dataplane: { routes: stats?.routes ?? 0, problems: [...(stats?.problems ?? []), ...this.#warnings()] },
      endpoints: this.#endpoints.list().length,
    };
  }
}

function mtuOf(self: NodeInfo, addresses: readonly InterfaceAddress[]): number {
  const own = Object.values(self.addresses).map(({ address }) => address);
  return addresses.find(({ cidr }) => own.includes(cidr.split('/')[0]!))?.mtu ?? 1500;
}
