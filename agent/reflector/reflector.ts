/** cali-node --role reflector: only the BGP speaker, with configuration from a source. */
import path from 'node:path';
import type { Registry } from 'prom-client';
import type { DesiredSpeaker } from '../../bgp/peer/config.ts';
import { Speaker } from '../../bgp/speaker.ts';
import type { Transport } from '../../bgp/transport/port.ts';
import { warmUp } from '../../bgp/warm-up.ts';
import type { BGPConfiguration } from '../../datastore/schema/bgp-configuration.ts';
import { Boundary } from '../../lib/boundary.ts';
import { messageOf } from '../../lib/errors.ts';
import { exposition } from '../../lib/exposition.ts';
import { createFolder } from '../../lib/folder.ts';
import { type Serving, serveRoutes, text } from '../../lib/http.ts';
import type { Log } from '../../lib/log.ts';
import type { Time } from '../../lib/time.ts';
import { assertPrivateFolder } from '../../lib/unix-socket.ts';
import { AGENT_SOCKET } from '../report/status.ts';
import { createReflectorMetrics } from '../serve/metrics.ts';
import { bgpRoutes } from '../speaker/api.ts';
import { Observers } from '../speaker/observers.ts';

/** Source of a reflector's configuration. */
export interface ReflectorSource {
  /** Resolves when there is a configuration. Calls `changed` on changes. Rejects when the operator must act. */
  start(changed: () => void): Promise<void>;
  identity(): {
    /** Dotted quad. */
    readonly identifier: string;
    readonly port: number;
    /** Undefined: every address. */
    readonly listenAddresses: readonly string[] | undefined;
  };
  /** May throw; then the last good state stays in force. */
  configurations(): readonly BGPConfiguration[];
  /** Returns the names of nodes by address, if the source has nodes. */
  nodeNames?(): ReadonlyMap<string, string>;
  /** Registers the source's own metrics. */
  register?(registry: Registry): void;
  /** May throw, for example without a usable configuration; then the last good state stays in force. */
  desired(): DesiredSpeaker;
  close(): void;
}

export interface ReflectorConfig {
  readonly restartTimeSeconds: number;
  readonly unreachableSeconds: number;
  readonly wireLog?: string | undefined;
  readonly runDirectory: string;
  readonly healthHost?: string | undefined;
  readonly healthPort?: number | undefined;
  readonly metricsHost?: string | undefined;
  readonly metricsPort?: number | undefined;
}

export interface ReflectorModules {
  readonly time: Time;
  readonly transport: Transport;
  readonly log: Log;
}

/** Default address of health and metrics. */
const LOOPBACK = '127.0.0.1';
const LISTEN_RETRY_MS = 5_000;

/** Paths of calictl that only a node serves. */
const onlyOnNodes = {
  '/v1/status': () =>
    text(404, 'this is a route reflector, not a node: `calictl bgp peers` shows its sessions'),
  '/v1/explain': () =>
    text(
      404,
      'this is a route reflector, which forwards no packets: run `calictl explain route` on a node; ' +
        '`calictl bgp routes ADDRESS` shows the paths here',
    ),
};

export class Reflector {
  readonly #config: ReflectorConfig;
  readonly #source: ReflectorSource;
  readonly #modules: ReflectorModules;
  readonly #log: Log;
  readonly #boundary: Boundary;
  readonly #servers: Serving[] = [];
  /** Whether a configuration has been applied. */
  #isConfigured = false;
  #speaker: Speaker | undefined;
  /** Identity of the running speaker. */
  #identity: ReturnType<ReflectorSource['identity']> | undefined;
  #isRestarting = false;
  #isStopped = false;
  #observers: Observers | undefined;
  #observeConvergence: (seconds: number) => void = () => {};

  constructor(config: ReflectorConfig, source: ReflectorSource, modules: ReflectorModules) {
    this.#config = config;
    this.#source = source;
    this.#modules = modules;
    this.#log = modules.log;
    this.#boundary = new Boundary(modules.log);
  }

  /** Starts the reflector. Throws CodedError INPUT for an invalid configuration, BGP_LISTEN when it cannot listen. */
  async start(): Promise<void> {
    warmUp();
    await this.#source.start(() => this.#apply());
    await this.#startSpeaker();
    await this.#serve();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#source.close();
    this.#observers?.close();
    await this.#speaker?.close(true);
    for (const server of this.#servers) server.close();
  }

  async #startSpeaker(): Promise<void> {
    const { restartTimeSeconds, unreachableSeconds } = this.#config;
    const identity = this.#source.identity();
    this.#log.info({ ...identity }, 'starting the BGP speaker');
    const speaker = new Speaker(
      {
        ...identity,
        addresses: {},
        deferralSeconds: restartTimeSeconds,
        unreachableSeconds,
        hasKernel: false,
      },
      {
        clock: this.#modules.time,
        transport: this.#modules.transport,
        log: this.#log,
        events: { changed() {}, converged: (seconds) => this.#observeConvergence(seconds) },
      },
    );
    this.#identity = identity;
    this.#speaker = speaker;
    this.#observers = new Observers(speaker, this.#config.wireLog, this.#modules);
    this.#apply();
    await speaker.listen();
  }

  /**
   * Replaces the speaker, because its identifier, port or listen address changed. It restarts as a process does, so
   * peers keep their routes (RFC 4724). Never rejects: failed attempts are repeated.
   */
  async #restartSpeaker(): Promise<void> {
    if (this.#isRestarting) return;
    this.#isRestarting = true;
    const before = this.#speaker;
    this.#speaker = undefined;
    this.#observers?.close();
    try {
      await before?.close(true);
      if (!this.#isStopped) await this.#startSpeaker();
      this.#isRestarting = false;
      this.#apply();
    } catch (error) {
      this.#log.error({ reason: messageOf(error) }, 'BGP is not running');
      this.#modules.time.after(LISTEN_RETRY_MS, () => {
        this.#isRestarting = false;
        void this.#restartSpeaker();
      });
    }
  }

  #hasOtherIdentity(): boolean {
    return JSON.stringify(this.#source.identity()) !== JSON.stringify(this.#identity);
  }

  /** Applies the configuration. If the calculation fails, the sessions stay unchanged. */
  #apply(): void {
    const speaker = this.#speaker;
    if (!speaker || this.#isStopped) return;
    let hasOtherIdentity = false;
    this.#boundary.run('identity', () => {
      hasOtherIdentity = this.#hasOtherIdentity();
    });
    if (hasOtherIdentity && !this.#isRestarting) {
      void this.#restartSpeaker();
      return;
    }
    this.#boundary.run('observers', () => this.#observers?.configure(this.#source.configurations()));
    if (this.#boundary.run('BGP', () => speaker.setDesired(this.#source.desired())))
      this.#isConfigured = true;
  }

  /** Returns the readiness: not ready before the first configuration is applied. */
  #ready() {
    return this.#isConfigured ? text(200, 'ok') : text(503, this.#boundary.faults().join('\n'));
  }

  /** Serves calictl on the local socket, and health and metrics over HTTP. */
  async #serve(): Promise<void> {
    const {
      runDirectory,
      healthHost = LOOPBACK,
      healthPort,
      metricsHost = LOOPBACK,
      metricsPort,
    } = this.#config;
    await createFolder(runDirectory, 0o700);
    try {
      assertPrivateFolder(runDirectory);
    } catch (error) {
      // Everyone in the container may write to an emptyDir, but this is the only program there.
      this.#log.info({ reason: messageOf(error) }, 'calictl socket is safe only in a dedicated container');
    }
    const { registry, observeConvergence } = createReflectorMetrics({
      time: this.#modules.time,
      peers: () => this.#speaker?.status() ?? [],
      routes: () => this.#speaker?.routeCount ?? 0,
      nodeNames: () => this.#source.nodeNames?.() ?? new Map<string, string>(),
    });
    this.#source.register?.(registry);
    this.#observeConvergence = observeConvergence;
    const metrics = () => exposition(registry, this.#boundary);
    const local = {
      ...bgpRoutes(() => this.#speaker, this.#modules.time),
      ...onlyOnNodes,
      '/metrics': metrics,
    };
    this.#servers.push(await serveRoutes({ path: path.join(runDirectory, AGENT_SOCKET) }, local));
    const ok = () => text(200, 'ok');
    if (healthPort)
      this.#servers.push(
        await serveRoutes(
          { host: healthHost, port: healthPort },
          { '/healthz': ok, '/readyz': () => this.#ready() },
        ),
      );
    if (metricsPort)
      this.#servers.push(
        await serveRoutes({ host: metricsHost, port: metricsPort }, { '/metrics': metrics }),
      );
  }
}
