/** Runs calictl in this process against an embedded API server; each test has its own server and folder. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { run } from '../../calictl/program.ts';
import { ApiServer } from '../../datastore/embedded/server.ts';
import { plainAddress } from '../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../datastore/kubernetes/client.ts';
import type { ResourceDefinition } from '../../datastore/schema/resource.ts';
import { silentLog } from '../../lib/log.ts';
import { kubeconfigText } from './kubeconfig.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export class CalictlWorld {
  readonly #api: ApiServer;
  readonly client: KubernetesClient;
  /** Folder for the test's files. */
  readonly folder: string;

  private constructor(api: ApiServer, folder: string) {
    this.#api = api;
    this.folder = folder;
    this.client = new KubernetesClient(plainAddress(api.url));
  }

  static async start(): Promise<CalictlWorld> {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'calictl-test-'));
    const directory = path.join(folder, 'store');
    const api = await ApiServer.start({ directory, host: '127.0.0.1', port: 0 }, silentLog);
    const world = new CalictlWorld(api, folder);
    world.file('kubeconfig', kubeconfigText(api.url));
    return world;
  }

  async stop(): Promise<void> {
    await this.#api.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get url(): string {
    return this.#api.url;
  }

  /** Writes a file into the test's folder and returns its path. */
  file(name: string, text: string): string {
    const full = path.join(this.folder, name);
    mkdirSync(path.dirname(full), { recursive: true });
    writeFileSync(full, text);
    return full;
  }

  /** Runs a command line against this API. */
  calictl(...args: string[]): Promise<Ran> {
    return calictl(...args, '--kubeconfig', path.join(this.folder, 'kubeconfig'));
  }

  /** Returns the object as the server stores it. */
  raw(definition: ResourceDefinition, name: string, namespace?: string): Promise<unknown> {
    return this.client.raw(definition, name, namespace);
  }
}

/** Runs a command line. Its output may contain paths in the test's folder. */
export async function calictl(...args: string[]): Promise<Ran> {
  let [out, err] = ['', ''];
  const code = await run(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}
