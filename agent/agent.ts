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
import { closeSocketsFromOthers } from '../datastore/kubernetes/open-sockets.ts';
import { BGP_PORT } from '../felix/calc/bgp/cluster.ts';
import { firstGuard } from '../felix/calc/ruleset.ts';
import { Dataplane } from '../felix/dataplane/dataplane.ts';
import type { DesiredDataplane } from '../felix/dataplane/desired.ts';
import type { PassReport } from '../felix/dataplane/modules.ts';
import type { TunnellingInput } from '../ipip/tunnelling.ts';
import type { KernelState } from '../kernel/port.ts';
import type { KernelRoute } from '../model/route.ts';
import { dataplaneFrom, rehearse, rulesetFrom, speakerFrom, tunnellingFrom } from './desired.ts';
import { setUpNode } from './identity/set-up.ts';
import type { Cluster, ClusterObjects } from './inputs/cluster.ts';
import type { AgentConfig } from './inputs/environment.ts';
import { listedStore } from './inputs/listed-store.ts';
import type { Settings } from './inputs/settings.ts';
import { type AgentModules, closeParts, type Parts, wire } from './wiring.ts';

/** Events come in bursts, and a CNI call that caused them should not wait for the calculation. */
const COALESCE_MS = 10;
/** Maximum of routes in a log line. */
const MAX_LOGGED_ROUTES = 20;

export class Agent {
  readonly #parts: Parts;
  readonly #restart: () => void;
  readonly #abort = new AbortController();
  /** Whether a calculation is scheduled. */
  #isCalculating = false;

  private constructor(parts: Parts, restart: () => void) {
    this.#parts = parts;
    this.#restart = restart;
  }

  /**
   * Makes an agent, which does nothing until `start`. `restart` starts a new agent in this process, because the Node
   * was replaced. Rejects with CodedError CONFIG when the run directory is unusable.
   */
  static async create(config: AgentConfig, modules: AgentModules & { restart: () => void }): Promise<Agent> {
    // The parts need no calculation before `start`.
    let agent: Agent | undefined;
    const parts: Parts = await wire(config, modules, {
      changed: () => {
        if (agent) agent.#changed();
      },
      learned: () => {
        if (agent) agent.#program();
      },
      converged: (seconds) => {
        const { boundary, metrics } = parts;
        boundary.run('metrics', () => metrics.observeConvergence(seconds));
      },
    });
    agent = new Agent(parts, modules.restart);
    return agent;
  }

  /** Starts the agent, which runs until `stop`. Rejects with CodedError CONFIG when the operator must act. */
  async start(): Promise<void> {
    const { config, time, kernel, log, state, store, nftables, cniSocket, servers } = this.#parts;
    const { settings, inputs, view } = this.#parts;
    // Before pods are added and before BGP listens.
    await nftables.ensure(firstGuard([BGP_PORT, config.reflectorPort]));
    for (const reason of nftables.problems) log.error({ reason }, 'nftables problem');
    await cniSocket.start();
    await servers.start();
    settings.update(inputs.cluster());
    void view.run(this.#abort.signal);
    const self = await setUpNode(config, {
      store: listedStore(store, view, time),
      kernel,
      time,
      log,
      failed: (reason, isLate) => {
        state.setUpError = reason;
        // The condition from an earlier agent is outdated.
        if (isLate) this.#parts.condition.update([reason]);
      },
    });
    this.#parts.identity.adopt(self);
    state.dataplane = this.#makeDataplane();
    state.setUpError = undefined;
    this.#changed();
  }

  #makeDataplane(): Dataplane {
    const { config, time, kernel, log, nftables } = this.#parts;
    return new Dataplane(
      { node: config.node },
      {
        clock: time,
        log,
        kernel,
        nftables,
        observed: (kernel) => this.#answer(kernel),
        applied: (report) => this.#applied(report),
        guarded: () => this.#changed(),
      },
    );
  }

  /** Stops without changing the kernel: forwarding continues, and peers keep our routes until the agent restarts. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await closeParts(this.#parts);
  }

  /** Writes an Event about this Node with the reason why the process ends. */
  async report(sentence: string): Promise<void> {
    const { recorder, config } = this.#parts;
    await recorder.writeOfNode(config.node, { type: 'Warning', reason: 'AgentCrashed', message: sentence });
  }

  /** Schedules a calculation after a change. */
  #changed(): void {
    this.#parts.rulesets.invalidate();
    if (this.#isCalculating) return;
    this.#isCalculating = true;
    this.#parts.clock.after(COALESCE_MS, () => {
      this.#isCalculating = false;
      this.#parts.boundary.run('calculation', () => this.#calculate());
    });
  }

  /** Runs the stages. They are independent: one that fails keeps its last state, and the others run. */
  #calculate(): void {
    const { boundary, state, view, inputs, settings, identity, quarantine, rulesets } = this.#parts;
    const { routeNumbers, upkeep, secrets, tunnelling, topology } = this.#parts;
    const { dataplane } = state;
    if (!dataplane || !view.isSynced || this.#abort.signal.aborted) return;
    const stage = (name: string, task: () => void) => boundary.run(name, task);
    if (boundary.value('identity', () => this.#isAnotherNode())) return;
    const objects = inputs.objects();
    const cluster = inputs.cluster();
    rulesets.invalidate();
    const results = [
      stage('settings', () => settings.update(inputs.cluster())),
      stage('kernel settings', () => {
        routeNumbers.configure(settings.current.routeProtocols);
        dataplane.configure({ ...settings.current, families: identity.podFamilies });
      }),
      stage('IPAM upkeep', () => upkeep?.update()),
      stage('secrets', () => secrets.follow(cluster.bgpConfigurations(), cluster.bgpPeers())),
      stage('tunnels', () => {
        const input = this.#tunnellingInput(cluster, settings.current);
        if (input) tunnelling.update(input);
      }),
      stage('reflectors', () => topology.update(cluster)),
      stage('BGP', () => this.#configureBgp(cluster)),
      stage('addresses', () => this.#followAddresses()),
      this.#program(),
    ];
    if (results.every(Boolean)) quarantine.passed(objects, quarantine.filter(objects));
    else if (boundary.value('quarantine', () => this.#investigate(objects))) this.#changed();
  }

  #configureBgp(cluster: Cluster): void {
    const { config, state, faults, host, nftables, identity, inputs, secrets } = this.#parts;
    state.bgpHold = faults.unknownConfiguration();
    if (state.bgpHold) {
      host.wait(state.bgpHold);
      return;
    }
    // Otherwise wait: `guarded` will call.
    if (!nftables.isTried) return;
    const { self, families } = identity;
    if (config.backend === 'bird' && self) host.configure(self, families, cluster.bgpConfigurations());
    host.speaker?.setDesired(speakerFrom(inputs.read(cluster), secrets.value));
  }

  /** Returns the input of the tunnels; undefined until the node is published. */
  #tunnellingInput(cluster: Cluster, settings: Settings): TunnellingInput | undefined {
    const { identity, inputs } = this.#parts;
    const { published: self, families } = identity;
    if (!self) return undefined;
    return tunnellingFrom(cluster, settings, {
      self,
      families,
      isUncertain: inputs.absentPools().length > 0,
    });
  }

  /** Searches for objects that make a calculation throw. Returns whether it found one. Changes nothing else. */
  #investigate(objects: ClusterObjects): boolean {
    const { quarantine, inputs, settings, tunnelling, secrets, routeNumbers } = this.#parts;
    return quarantine.investigate(objects, (some) => {
      const cluster = inputs.cluster(some);
      const own = settings.of(cluster);
      const tunnels = this.#tunnellingInput(cluster, own);
      const { numbers } = routeNumbers;
      const modules = { tunnelling, secrets: secrets.value, numbers };
      if (tunnels) rehearse(inputs.read(cluster), own, tunnels, modules);
    });
  }

  /** Restarts the agent if its Node was replaced. Returns whether it was. */
  #isAnotherNode(): boolean {
    const { identity, log, state } = this.#parts;
    if (!identity.isReplaced()) return false;
    const addresses = identity.self?.addresses;
    log.warn({ addresses }, 'this Node was deleted and recreated: restarting');
    state.dataplane?.close();
    this.#restart();
    return true;
  }

  /** Answers an observation of the kernel with the desired state, if it is not yet calculated. */
  #answer(kernel: KernelState): DesiredDataplane | undefined {
    this.#parts.boundary.run('kernel check', () => this.#observed(kernel));
    // Changes are calculated after a delay. A pass of the dataplane needs them at once.
    if (!this.#isCalculating) return undefined;
    const { desired } = this.#desired();
    this.#reportAll();
    return desired;
  }

  /** Handles the end of a pass of the dataplane. */
  #applied({ seconds, kernel, missingTunnels, left }: PassReport): void {
    const { boundary, metrics, tunnelling } = this.#parts;
    boundary.run('metrics', () => metrics.observeApply(seconds));
    boundary.run('kernel check', () => {
      if (kernel && tunnelling.observe(kernel, missingTunnels)) this.#changed();
    });
    if (left) this.#migrated(left);
  }

  /** Handles an observation of the kernel: devices, MTU and addresses may have changed. */
  #observed(kernel: KernelState): void {
    const { observedHost, routeNumbers, log, tunnelling, state, boundary, events, report } = this.#parts;
    const isAnotherHost = observedHost.observe(kernel, routeNumbers.numbers);
    if (isAnotherHost) {
      const addresses = kernel.addresses.map(({ cidr }) => cidr.split('/')[0] ?? cidr);
      const count = closeSocketsFromOthers(new Set(addresses));
      if (count > 0) log.info({ count }, 'closing API connections from a removed address');
    }
    if (tunnelling.observe(kernel, state.dataplane?.stats.missingTunnels ?? {}) || isAnotherHost)
      this.#changed();
    this.#followAddresses();
    boundary.run('Events', () => events.update(report.troubles()));
  }

  /** Checks whether interfaces and the Node's annotations still have the addresses in use. */
  #followAddresses(): void {
    const { observedHost, identity, ownAddress } = this.#parts;
    const { interfaces } = observedHost;
    const { self, node } = identity;
    if (self && interfaces) ownAddress.update(self, node, interfaces);
  }

  /** Handles the end of a migration: our routes have current protocol numbers. The operator should check the others. */
  #migrated(left: readonly KernelRoute[]): void {
    const { routeNumbers, log } = this.#parts;
    if (!routeNumbers.migrated()) return;
    log.info({}, 'migration finished: all Cali routes have the current protocol numbers');
    if (left.length > 0) {
      const routes = left.slice(0, MAX_LOGGED_ROUTES).map(({ destination }) => destination);
      log.warn(
        { count: left.length, routes },
        'routes with a former Cali protocol number remain: another program may have added them',
      );
    }
    this.#changed();
  }

  /** Calculates and sets the dataplane, and reports. Returns false on failure. */
  #program(): boolean {
    const { desired, isGood } = this.#desired();
    if (desired) this.#parts.state.dataplane?.setDesired(desired);
    this.#reportAll();
    return isGood;
  }

  /** Calculates the dataplane from endpoints, blocks and learned routes. A failed stage keeps its last rules. */
  #desired(): { readonly desired: DesiredDataplane | undefined; readonly isGood: boolean } {
    const { config, boundary, rulesets, inputs, settings, tunnelling, host, routeNumbers } = this.#parts;
    const rules = boundary.value('nftables rules', () =>
      rulesets.current(() => rulesetFrom(inputs.read(), settings.current, tunnelling)),
    );
    const inForce = rules ?? rulesets.last;
    if (!inForce) return { desired: undefined, isGood: false };
    const desired = boundary.value('routes', () => {
      const isComplete = config.backend !== 'bird' || (host.speaker?.isSettled ?? false);
      const learned = { routes: [...(host.speaker?.learned.values() ?? [])], isComplete };
      const { numbers } = routeNumbers;
      return dataplaneFrom(inputs.read(), settings.current, tunnelling, learned, numbers, inForce);
    });
    return { desired, isGood: desired !== undefined && rules !== undefined };
  }

  #reportAll(): void {
    const { boundary, conditionReport, events, report, objectEvents, faults, statusReporter, view } =
      this.#parts;
    boundary.run('condition', () => conditionReport.update());
    boundary.run('Events', () => events.update(report.troubles()));
    boundary.run('Events of objects', () => objectEvents.update(faults.all()));
    boundary.run('CalicoNodeStatus', () => statusReporter.update(view.nodeStatuses()));
  }
}
