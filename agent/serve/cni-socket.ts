/** The socket of the CNI plugin (cni/server.ts). It opens when `start` is called, and pods can be added from then on. */
import path from 'node:path';
import type { Plugin } from '../../cni/plugin.ts';
import type { ServeCni } from '../../cni/server.ts';
import type { Clock } from '../../lib/time.ts';
import { CNI_SOCKET } from '../report/status.ts';

export interface CniSocketModules {
  readonly serve: ServeCni;
  readonly clock: Pick<Clock, 'after'>;
}

export class CniSocket {
  readonly #path: string;
  readonly #modules: CniSocketModules;
  readonly #plugin: Pick<Plugin, 'handle' | 'resume' | 'close'>;
  #server: { close(): unknown } | undefined;

  constructor(
    runDirectory: string,
    plugin: Pick<Plugin, 'handle' | 'resume' | 'close'>,
    modules: CniSocketModules,
  ) {
    this.#modules = modules;
    this.#path = path.join(runDirectory, CNI_SOCKET);
    this.#plugin = plugin;
  }

  async start(): Promise<void> {
    this.#plugin.resume();
    this.#server = await this.#modules.serve(this.#path, this.#plugin, this.#modules.clock);
  }

  close(): void {
    this.#server?.close();
    this.#plugin.close();
  }
}
