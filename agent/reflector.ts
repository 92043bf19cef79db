/** cali-node --role reflector: the BGP speaker alone. Its configuration comes from a source. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Registry } from 'prom-client';
import type { DesiredSpeaker } from '../bgp/peer-config.ts';
import { Speaker } from '../bgp/speaker.ts';
import { warmUp } from '../bgp/warm-up.ts';
import type { BGPConfiguration } from '../datastore/schema/bgp.ts';
import { Boundary } from '../lib/boundary.ts';
import { systemClock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { exposition } from '../lib/exposition.ts';
import { type Serving, serveRoutes, text } from '../lib/http.ts';
import type { Log } from '../lib/log.ts';
import { assertPrivateFolder } from '../lib/unix-socket.ts';
import { bgpRoutes } from './bgp-api.ts';
import { createReflectorMetrics } from './metrics.ts';
import { Observers } from './observers.ts';
import { AGENT_SOCKET } from './status.ts';

/** Where a reflector's configuration comes from. */
export interface ReflectorSource {
  /** Resolves when there is one; `changed` is called whenever it is another one. Rejects where a person has to act. */
  start(changed: () => void): Promise<void>;
  identity(): {
    /** Dotted quad. */
    readonly identifier: string;
    readonly port: number;
    /** Undefined: every address. */
    readonly listenAddresses: readonly string[] | undefined;
  };
  /** May throw: then the last good state stays in force. */
  configurations(): readonly BGPConfiguration[];
  /** Names of nodes by address, where the source knows nodes. */
  nodeNames?(): ReadonlyMap<string, string>;
  /** Shows the source's own metrics. */
  register?(registry: Registry): void;
  /** May throw, also while there is no configuration that can be used: then the last good state stays in force. */
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

/** Where health and metrics are served unless the environment says otherwise. */
const LOOPBACK = '127.0.0.1';

export class Reflector {
  readonly #config: ReflectorConfig;
  readonly #source: ReflectorSource;
  readonly #log: Log;
  readonly #boundary: Boundary;
  readonly #servers: Serving[] = [];
  /** A configuration has been in force. */
  #isConfigured = false;
  #speaker: Speaker | undefined;
  #observers: Observers | undefined;
  #observeConvergence: (seconds: number) => void = () => {};

  constructor(config: ReflectorConfig, source: ReflectorSource, log: Log) {
    this.#config = config;
    this.#source = source;
    this.#log = log;
    this.#boundary = new Boundary(log);
  }

  /** Throws CodedError INPUT for a configuration that is wrong, BGP_LISTEN where it cannot listen. */
  async start(): Promise<void> {
    const { restartTimeSeconds, unreachableSeconds } = this.#config;
    warmUp();
    await this.#source.start(() => this.#apply());
    const identity = this.#source.identity();
    this.#log.info({ ...identity }, 'route reflector');
    this.#speaker = new Speaker(
      {
        ...identity,
        addresses: {},
        deferralSeconds: restartTimeSeconds,
        unreachableSeconds,
        hasKernel: false,
      },
      {
        clock: systemClock,
        log: this.#log,
        events: { changed() {}, converged: (seconds) => this.#observeConvergence(seconds) },
      },
    );
    this.#observers = new Observers(this.#speaker, this.#config.wireLog, this.#log);
    this.#apply();
    await this.#speaker.listen();
    await this.#serve(this.#speaker);
  }

  async stop(): Promise<void> {
    this.#source.close();
    this.#observers?.close();
    await this.#speaker?.close(true);
    for (const server of this.#servers) server.close();
  }

  /** A configuration that cannot be calculated leaves the sessions as they are. */
  #apply(): void {
    const speaker = this.#speaker;
    if (!speaker) return;
    this.#boundary.run('observers', () => this.#observers?.configure(this.#source.configurations()));
    if (this.#boundary.run('BGP', () => speaker.setDesired(this.#source.desired())))
      this.#isConfigured = true;
  }

  /** Not ready before the first configuration is in force. */
  #ready() {
    return this.#isConfigured ? text(200, 'ok') : text(503, this.#boundary.faults().join('\n'));
  }

  /** The local socket for calictl, and over HTTP what a Deployment wants to ask. */
  async #serve(speaker: Speaker): Promise<void> {
    const {
      runDirectory,
      healthHost = LOOPBACK,
      healthPort,
      metricsHost = LOOPBACK,
      metricsPort,
    } = this.#config;
    await mkdir(runDirectory, { recursive: true, mode: 0o700 });
    try {
      assertPrivateFolder(runDirectory);
    } catch (error) {
      // An emptyDir may be written by everybody in its container, who is this program alone.
      this.#log.info(
        { reason: messageOf(error) },
        'the socket for calictl is safe in a container of its own only',
      );
    }
    const { registry, observeConvergence } = createReflectorMetrics({
      peers: () => speaker.status(),
      routes: () => speaker.routeCount,
      nodeNames: () => this.#source.nodeNames?.() ?? new Map<string, string>(),
    });
    this.#source.register?.(registry);
    this.#observeConvergence = observeConvergence;
    const metrics = () => exposition(registry, this.#boundary);
    const local = { ...bgpRoutes(() => speaker), '/metrics': metrics };
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
