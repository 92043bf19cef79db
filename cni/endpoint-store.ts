/**
 * Keeps this node's endpoints in memory and in one file each in the agent's run directory, so that a restarted agent
 * recovers them without a query. The directory is on a tmpfs, so a reboot clears the files together with their
 * interfaces.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../lib/errors.ts';
import { createFolder } from '../lib/folder.ts';
import type { Log } from '../lib/log.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { endpointFile, parseEndpoint } from './endpoint-file.ts';

export class EndpointStore {
  readonly #directory: string;
  readonly #changed: () => void;
  /** By container and interface. Bounded by the node's pods. */
  readonly #endpoints = new Map<string, Endpoint>();

  private constructor(directory: string, changed: () => void) {
    this.#directory = directory;
    this.#changed = changed;
  }

  /** Reads the directory, and removes half-written files. A file that cannot be read is logged and kept. */
  static async open(directory: string, changed: () => void, log: Log): Promise<EndpointStore> {
    const store = new EndpointStore(directory, changed);
    await createFolder(directory, 0o700);
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const file = entry.name;
      const full = path.join(directory, file);
      if (!file.endsWith('.json')) {
        if (!entry.isDirectory()) await rm(full, { force: true });
        continue;
      }
      try {
        const endpoint = parseEndpoint(file, await readFile(full, 'utf8'));
        store.#endpoints.set(keyOf(endpoint.containerId, endpoint.containerInterface), endpoint);
      } catch (error) {
        log.error({ file: full, reason: messageOf(error) }, 'unreadable endpoint file ignored');
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

  /** Writes the file. Synchronous: on a tmpfs, that takes less time than a trip through the thread pool. */
  persist(endpoint: Endpoint): void {
    const file = this.#file(endpoint);
    writeFileSync(`${file}.tmp`, JSON.stringify(endpoint), { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
  }

  async remove(endpoint: Endpoint): Promise<void> {
    if (this.#endpoints.delete(keyOf(endpoint.containerId, endpoint.containerInterface))) this.#changed();
    await rm(this.#file(endpoint), { force: true });
  }

  #file(endpoint: Endpoint): string {
    return path.join(this.#directory, endpointFile(endpoint));
  }
}

function keyOf(containerId: string, containerInterface: string): string {
  return `${containerId}/${containerInterface}`;
}
