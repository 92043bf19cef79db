/** What an agent answers: calictl over a socket of this machine, probes and Prometheus over HTTP. */
import path from 'node:path';
import type { Registry } from 'prom-client';
import type { Speaker } from '../bgp/speaker.ts';
import { formatAddress, parseAddress } from '../lib/cidr.ts';
import { messageOf } from '../lib/errors.ts';
import { type HttpAnswer, json, MovingServer, serveRoutes, text } from '../lib/http.ts';
import type { Log } from '../lib/log.ts';
import { printable } from '../lib/plain-text.ts';
import { bgpRoutes } from './bgp-api.ts';
import type { Explanation } from './explain.ts';
import type { Settings } from './settings.ts';
import { AGENT_SOCKET, type AgentStatus } from './status.ts';

export interface ServerSources {
  readonly registry: Registry;
  readonly speaker: () => Speaker | undefined;
  readonly status: () => AgentStatus;
  readonly explain: (address: string) => Promise<Explanation>;
  readonly log: Log;
}

export class Servers {
  readonly #socket: string;
  readonly #sources: ServerSources;
  readonly #health: MovingServer;
  readonly #metrics: MovingServer;
  readonly #exposition: () => Promise<HttpAnswer>;
  #local: { close(): unknown } | undefined;

  constructor(runDirectory: string, sources: ServerSources) {
    this.#socket = path.join(runDirectory, AGENT_SOCKET);
    this.#sources = sources;
    const { registry, status } = sources;
    const health = () => text(200, 'ok');
    const ready = () => {
      const { notReady } = status();
      return notReady.length === 0 ? text(200, 'ready') : text(503, notReady.join('\n'));
    };
    this.#health = new MovingServer({
      '/healthz': health,
      '/liveness': health,
      '/readyz': ready,
      '/readiness': ready,
    });
    this.#exposition = async () => ({
      code: 200,
      type: registry.contentType,
      body: await registry.metrics(),
    });
    this.#metrics = new MovingServer({ '/metrics': this.#exposition });
  }

  async start(): Promise<void> {
    const { status, speaker, explain } = this.#sources;
    this.#local = await serveRoutes(
      { path: this.#socket },
      {
        '/v1/status': () => json(status()),
        '/metrics': this.#exposition,
        ...bgpRoutes(speaker),
        '/v1/explain': async (query: URLSearchParams) => {
          const asked = query.get('address') ?? '';
          const address = parseAddress(asked);
          return address
            ? json(await explain(formatAddress(address)))
            : text(400, `"${printable(asked, 100)}" is no IP address`);
        },
      },
    );
  }

  /** Serves where the settings say from now on. */
  configure({ health, metrics }: Settings): void {
    const warn = (error: unknown) =>
      this.#sources.log.warn({ reason: messageOf(error) }, 'cannot serve HTTP');
    this.#health.moveTo(health, warn);
    this.#metrics.moveTo(metrics, warn);
  }

  async close(): Promise<void> {
    this.#local?.close();
    await Promise.all([this.#health.close(), this.#metrics.close()]);
  }
}
