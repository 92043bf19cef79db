/**
 * Keeps this node's endpoints in memory and in one file each in the agent's run directory, so that a restarted agent
 * recovers them without a query. The directory is on a tmpfs, so a reboot clears the files together with their
 * interfaces.
 */
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { endpointFile, parseEndpoint } from './endpoint-file.ts';
import type { EndpointFiles } from './endpoint-folder.ts';

export type EndpointKey = Pick<Endpoint, 'containerId' | 'containerInterface'>;

export class EndpointStore {
  readonly #files: EndpointFiles;
  readonly #changed: () => void;
  /** By container and interface. Bounded by the node's pods. */
  readonly #endpoints = new Map<string, Endpoint>();

  private constructor(files: EndpointFiles, changed: () => void) {
    this.#files = files;
    this.#changed = changed;
  }

  /** Reads the files. One that cannot be read is logged and kept. */
  static async open(files: EndpointFiles, changed: () => void, log: Log): Promise<EndpointStore> {
    const store = new EndpointStore(files, changed);
    for (const file of await files.read()) {
      try {
        if (file.text === undefined) throw new Error(file.reason);
        const endpoint = parseEndpoint(file.name, file.text);
        store.#endpoints.set(keyOf(endpoint.containerId, endpoint.containerInterface), endpoint);
      } catch (error) {
        log.error({ file: file.name, reason: messageOf(error) }, 'unreadable endpoint file ignored');
      }
    }
    return store;
  }

  list(): Endpoint[] {
    return [...this.#endpoints.values()];
  }

  get(containerId: string, containerInterface: string): Endpoint | undefined {
    return this.#endpoints.get(keyOf(containerId, containerInterface));
  }

  /** Adds an endpoint, so that felix programs it. Call `persist` when its interface works. */
  set(endpoint: Endpoint): void {
    this.#endpoints.set(keyOf(endpoint.containerId, endpoint.containerInterface), endpoint);
    this.#changed();
  }

  /** Writes the file. Throws when it cannot. */
  persist(endpoint: Endpoint): void {
    this.#files.write(endpointFile(endpoint), JSON.stringify(endpoint));
  }

  /** Removes an endpoint at once, then its file, also that of an endpoint which is no longer known. */
  async remove(endpoint: EndpointKey): Promise<void> {
    if (this.#endpoints.delete(keyOf(endpoint.containerId, endpoint.containerInterface))) this.#changed();
    await this.#files.remove(endpointFile(endpoint));
  }
}

function keyOf(containerId: string, containerInterface: string): string {
  return `${containerId}/${containerInterface}`;
}
