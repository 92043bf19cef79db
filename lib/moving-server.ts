/** HTTP servers whose addresses can change at run time. The old server stays until the new address works. */

import { messageOf } from './errors.ts';
import type { Routes, ServeRoutes, Serving } from './http.ts';
import type { Clock } from './time.ts';

export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

interface Open {
  readonly at: HttpAddress;
  readonly serving: Serving;
}

const RETRY_MS = 5000;

export interface MovingServerModules {
  readonly serve: ServeRoutes;
  readonly clock: Pick<Clock, 'after'>;
}

export class MovingServer {
  readonly #routes: Routes;
  readonly #modules: MovingServerModules;
  readonly #failed: (reason: string) => void;
  readonly #open = new Map<string, Open>();
  #wanted: readonly HttpAddress[] = [];
  #fallback: HttpAddress | undefined;
  #work: Promise<void> = Promise.resolve();
  #cancelRetry = () => {};
  #isClosed = false;
  /** Reported failures. Cleared when every address is served. */
  readonly #reported = new Set<string>();

  /** `failed` is called once for each address that cannot be served, with the reason as a sentence. */
  constructor(routes: Routes, failed: (reason: string) => void, modules: MovingServerModules) {
    this.#routes = routes;
    this.#modules = modules;
    this.#failed = failed;
  }

  /**
   * Serves at these addresses from now on. A failed address is retried, and the previous ones stay until it works;
   * without previous ones the fallback serves.
   */
  moveTo(wanted: readonly HttpAddress[], fallback?: HttpAddress): void {
    if (JSON.stringify([wanted, fallback]) === JSON.stringify([this.#wanted, this.#fallback])) return;
    this.#wanted = wanted;
    this.#fallback = fallback;
    this.#begin();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry();
    await this.#work;
    this.#cancelRetry();
    for (const key of [...this.#open.keys()]) this.#end(key);
  }

  /** Serialises moves. */
  #begin(): void {
    this.#cancelRetry();
    this.#work = this.#work.then(() => this.#move());
  }

  async #move(): Promise<void> {
    if (this.#isClosed) return;
    const wanted = new Map(this.#wanted.map((at) => [keyOf(at), at]));
    let isComplete = true;
    for (const [key, at] of wanted)
      if (!this.#open.has(key) && !(await this.#enter(at, wanted))) isComplete = false;
    if (isComplete) {
      for (const key of [...this.#open.keys()]) if (!wanted.has(key)) this.#end(key);
      this.#reported.clear();
      return;
    }
    if (this.#open.size === 0 && this.#fallback) await this.#listen(this.#fallback);
    this.#cancelRetry();
    this.#cancelRetry = this.#modules.clock.after(RETRY_MS, () => this.#begin());
  }

  /**
   * Serves another address; false when it cannot. A server of ours that occupies the address closes first, and comes
   * back on failure.
   */
  async #enter(at: HttpAddress, wanted: ReadonlyMap<string, HttpAddress>): Promise<boolean> {
    let error = await this.#listen(at);
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      const rivals = [...this.#open].filter(([key, open]) => !wanted.has(key) && open.at.port === at.port);
      for (const [key] of rivals) this.#end(key);
      if (rivals.length > 0) error = await this.#listen(at);
      if (error !== undefined) for (const [, rival] of rivals) await this.#listen(rival.at);
    }
    if (error === undefined) return true;
    const reason = `${keyOf(at)}: ${messageOf(error)}`;
    if (!this.#reported.has(reason)) this.#failed(reason);
    this.#reported.add(reason);
    return false;
  }

  /** Undefined once it listens, else the error. */
  async #listen(at: HttpAddress): Promise<unknown> {
    try {
      this.#open.set(keyOf(at), { at, serving: await this.#modules.serve(at, this.#routes) });
      return undefined;
    } catch (error) {
      return error ?? new Error('cannot listen');
    }
  }

  #end(key: string): void {
    this.#open.get(key)?.serving.close();
    this.#open.delete(key);
  }
}

function keyOf({ host, port }: HttpAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
