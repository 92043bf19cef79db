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
  /** Endpoints that are being removed, in the same way. */
  readonly #retired = new Map<string, Endpoint>();

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
        const { isRetired, ...endpoint } = parseEndpoint(file.name, file.text);
        const map = isRetired ? store.#retired : store.#endpoints;
        map.set(keyOf(endpoint.containerId, endpoint.containerInterface), endpoint);
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

  /** Endpoints that are being removed. Their addresses may be in use until their interface is gone. */
  retired(): Endpoint[] {
    return [...this.#retired.values()];
  }

  /** Whether this very endpoint is present or being removed, rather than a later one of the same container. */
  has(endpoint: Endpoint): boolean {
    const key = keyOf(endpoint.containerId, endpoint.containerInterface);
    return this.#endpoints.get(key) === endpoint || this.#retired.get(key) === endpoint;
  }

  /** Marks an endpoint as being removed, in its file first. Throws when the file cannot be written. */
  retire(endpoint: Endpoint): void {
    const key = keyOf(endpoint.containerId, endpoint.containerInterface);
    this.#files.write(endpointFile(endpoint), JSON.stringify({ ...endpoint, isRetired: true }));
    this.#retired.set(key, endpoint);
    if (this.#endpoints.delete(key)) this.#changed();
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
    const key = keyOf(endpoint.containerId, endpoint.containerInterface);
    if (this.#endpoints.delete(key)) this.#changed();
    await this.#files.remove(endpointFile(endpoint));
    this.#retired.delete(key);
  }
}

function keyOf(containerId: string, containerInterface: string): string {
  return `${containerId}/${containerInterface}`;
}
