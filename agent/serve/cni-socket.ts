/** The socket of the CNI plugin (cni/server.ts). It opens when `start` is called, and pods can be added from then on. */
import path from 'node:path';
import type { Plugin } from '../../cni/plugin.ts';
import { serveCni } from '../../cni/server.ts';
import type { Clock } from '../../lib/time.ts';
import { CNI_SOCKET } from '../report/status.ts';

export class CniSocket {
  readonly #path: string;
  readonly #clock: Pick<Clock, 'after'>;
  readonly #plugin: Pick<Plugin, 'handle'>;
  #server: { close(): unknown } | undefined;

  constructor(runDirectory: string, plugin: Pick<Plugin, 'handle'>, clock: Pick<Clock, 'after'>) {
    this.#clock = clock;
    this.#path = path.join(runDirectory, CNI_SOCKET);
    this.#plugin = plugin;
  }

  async start(): Promise<void> {
    this.#server = await serveCni(this.#path, this.#plugin, this.#clock);
  }

  close(): void {
    this.#server?.close();
  }
}
