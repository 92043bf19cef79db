/**
 * cali-node --role reflector: the BGP speaker alone. Its documents come from a file that is followed when it
 * changes; a file that cannot be read or is wrong leaves everything as it is, with a sentence in the log.
 */
import { watch } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { Registry } from 'prom-client';
import { Speaker } from '../bgp/speaker.ts';
import { parseDocuments } from '../datastore/documents.ts';
import type { BGPConfiguration, BGPPeer } from '../datastore/schema/bgp.ts';
import type { BGPFilter } from '../datastore/schema/bgp-filter.ts';
import { type Secret, secretValue } from '../datastore/schema/core.ts';
import { defaultsOf } from '../felix/calc/bgp/cluster.ts';
import { desiredReflector } from '../felix/calc/bgp/reflector.ts';
import { systemClock } from '../lib/clock.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { bgpRoutes } from './bgp-api.ts';
import { registerBgpMetrics } from './bgp-metrics.ts';
import { serveRoutes, text } from './http.ts';
import { Observers } from './observers.ts';
import { AGENT_SOCKET } from './status.ts';

export interface ReflectorConfig {
  readonly file: string;
  readonly restartTimeSeconds: number;
  readonly unreachableSeconds: number;
  readonly holdTimeSeconds: number;
  readonly wireLog?: string | undefined;
  readonly runDirectory: string;
  readonly healthHost?: string | undefined;
  readonly healthPort?: number | undefined;
  readonly metricsHost?: string | undefined;
  readonly metricsPort?: number | undefined;
}

interface Documents {
  readonly text: string;
  readonly configurations: readonly BGPConfiguration[];
  readonly peers: readonly BGPPeer[];
  readonly filters: readonly BGPFilter[];
  readonly secrets: readonly Secret[];
}

/** A change may come as several events, and where no events come it is found by looking. */
const SETTLE_MS = 100;
const POLL_MS = 10_000;
const BGP_PORT = 179;

export class Reflector {
  readonly #config: ReflectorConfig;
  readonly #log: Log;
  #documents: Documents | undefined;
  #speaker: Speaker | undefined;
  readonly #servers: Server[] = [];
  #observers: Observers | undefined;
  #observeConvergence: (seconds: number) => void = () => {};
  #stopFollowing = () => {};

  constructor(config: ReflectorConfig, log: Log) {
    this.#config = config;
    this.#log = log;
  }

  get speaker(): Speaker {
    return this.#speaker!;
  }

  /** Throws CodedError INPUT for a file that is wrong, BGP_LISTEN where it cannot listen. */
  async start(): Promise<void> {
    const { file, restartTimeSeconds, unreachableSeconds } = this.#config;
    this.#documents = parse(await readText(file), file);
    const spec = defaultsOf(this.#documents.configurations);
    const routerId = this.#routerId();
    this.#log.info({ routerId, file }, 'route reflector');
    this.#speaker = new Speaker(
      {
        identifier: routerId,
        addresses: {},
        port: spec.listenPort ?? BGP_PORT,
        listenAddresses: spec.listenAddresses,
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
    await this.#serve();
    this.#follow();
  }

  async stop(): Promise<void> {
    this.#stopFollowing();
    this.#observers?.close();
    await this.#speaker?.close(true);
    for (const server of this.#servers) server.close();
    await rm(path.join(this.#config.runDirectory, AGENT_SOCKET), { force: true });
  }

  /** The local socket for calictl, and over HTTP what a Deployment wants to ask. */
  async #serve(): Promise<void> {
    const {
      runDirectory,
      healthHost = '0.0.0.0',
      healthPort,
      metricsHost = '0.0.0.0',
      metricsPort,
    } = this.#config;
    await mkdir(runDirectory, { recursive: true });
    const local = bgpRoutes(() => this.#speaker);
    this.#servers.push(await serveRoutes({ path: path.join(runDirectory, AGENT_SOCKET) }, local));
    const registry = new Registry();
    const speaker = this.#speaker!;
    const sources = { peers: () => speaker.status(), routes: () => speaker.routeCount };
    this.#observeConvergence = registerBgpMetrics(registry, sources).observeConvergence;
    const exposition = async () => ({
      code: 200,
      type: registry.contentType,
      body: await registry.metrics(),
    });
    const ok = () => text(200, 'ok');
    if (healthPort)
      this.#servers.push(
        await serveRoutes({ host: healthHost, port: healthPort }, { '/healthz': ok, '/readyz': ok }),
      );
    if (metricsPort)
      this.#servers.push(
        await serveRoutes({ host: metricsHost, port: metricsPort }, { '/metrics': exposition }),
      );
  }

  #apply(): void {
    const { configurations, peers, filters, secrets } = this.#documents!;
    this.#observers!.configure(configurations);
    this.#speaker!.setDesired(
      desiredReflector({
        ...this.#config,
        configurations,
        peers,
        filters,
        routerId: this.#routerId(),
        secrets: (name, key) => {
          const secret = secrets.find(({ metadata }) => metadata.name === name);
          return secret && secretValue(secret, key);
        },
      }),
    );
  }

  #routerId(): string {
    const { routerID, listenAddresses = [] } = defaultsOf(this.#documents!.configurations);
    const own = routerID ?? listenAddresses.find((address) => address.includes('.')) ?? firstAddress();
    if (own) return own;
    throw new CodedError(
      'INPUT',
      `${this.#config.file}: this machine has no IPv4 address: set spec.routerID in BGPConfiguration default`,
    );
  }

  #follow(): void {
    const { file } = this.#config;
    let timer: NodeJS.Timeout | undefined;
    const look = () => {
      clearTimeout(timer);
      timer = setTimeout(() => void this.#reload(), SETTLE_MS);
    };
    // The folder: editors, and kubelet with its ConfigMaps, put another file in the place of the old one.
    const watcher = watch(path.dirname(file), look);
    watcher.on('error', (error) =>
      this.#log.warn({ reason: messageOf(error) }, 'the configuration file is not watched'),
    );
    const poll = setInterval(look, POLL_MS);
    this.#stopFollowing = () => {
      clearTimeout(timer);
      clearInterval(poll);
      watcher.close();
    };
  }

  async #reload(): Promise<void> {
    const { file } = this.#config;
    try {
      const text = await readText(file);
      if (text === this.#documents!.text) return;
      this.#documents = parse(text, file);
      this.#apply();
      this.#log.info({ file }, 'configuration changed');
    } catch (error) {
      this.#log.error({ reason: messageOf(error) }, 'the configuration stays as it was');
    }
  }
}

function parse(text: string, file: string): Documents {
  const documents = parseDocuments(text, file);
  const ofKind = <T>(kind: string) =>
    documents
      .filter(({ definition }) => definition.kind === kind)
      .map(({ object }) => object as unknown as T);
  return {
    text,
    configurations: ofKind<BGPConfiguration>('BGPConfiguration'),
    peers: ofKind<BGPPeer>('BGPPeer'),
    filters: ofKind<BGPFilter>('BGPFilter'),
    secrets: ofKind<Secret>('Secret'),
  };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CodedError('INPUT', `${file}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function firstAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}
