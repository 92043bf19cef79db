/** The processes of the cluster that run on no node: the API server and cali-controllers; and the files to reach them. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { plainAddress } from '../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { ipPoolKind } from '../datastore/schema/ip-pool.ts';
import { messageOf } from '../lib/errors.ts';
import { LAB_IPV4 } from './namespaces.ts';
import { LabProcess } from './process.ts';

export const LAB_DIRECTORY = '/run/cali-lab';
const API_PORT = 6443;
const API_ATTEMPTS = 3000;

export class ControlPlane {
  readonly client = new KubernetesClient(plainAddress(`http://${LAB_IPV4}:${API_PORT}`));
  readonly #programs: string;
  readonly #api: LabProcess;
  #controllers: LabProcess | undefined;

  /** `programs` is the folder with the bundled programs. */
  constructor(programs: string) {
    this.#programs = programs;
    const state = path.join(LAB_DIRECTORY, 'api');
    const args = ['--directory', state, '--host', LAB_IPV4, '--port', String(API_PORT)];
    this.#api = new LabProcess(
      [process.execPath, path.join(programs, 'cali-api.js'), ...args],
      {},
      path.join(LAB_DIRECTORY, 'log', 'api.log'),
    );
  }

  /** Where the API server listens. */
  get address(): string {
    return `${LAB_IPV4}:${API_PORT}`;
  }

  /** Creates the folders of the lab and the files in them. */
  async prepare(): Promise<void> {
    await mkdir(path.join(LAB_DIRECTORY, 'bin'), { recursive: true });
    await mkdir(path.join(LAB_DIRECTORY, 'log'), { recursive: true });
    await this.#writeTools();
  }

  /** Starts the API server, with its stored objects. Resolves when it answers. */
  async startApi(): Promise<void> {
    this.#api.start();
    await this.#waitForApi();
  }

  async endApi(signal: NodeJS.Signals): Promise<void> {
    await this.#api.end(signal);
  }

  /** Starts cali-controllers. */
  startControllers(): void {
    this.#controllers = new LabProcess(
      [process.execPath, path.join(this.#programs, 'cali-controllers.js')],
      { KUBECONFIG: path.join(LAB_DIRECTORY, 'kubeconfig') },
      path.join(LAB_DIRECTORY, 'log', 'controllers.log'),
    );
    this.#controllers.start();
  }

  /** Restarts cali-controllers if they were started. */
  async restartControllers(): Promise<void> {
    await this.#controllers?.end('SIGTERM');
    this.#controllers?.start();
  }

  /** Kills both processes. */
  async kill(): Promise<void> {
    await this.#controllers?.end('SIGKILL');
    await this.#api.end('SIGKILL');
  }

  /** Resolves when the API server answers. Rejects with the path of its log when it does not start. */
  async #waitForApi(): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.client.list(ipPoolKind);
        return;
      } catch (error) {
        if (attempt > API_ATTEMPTS || !this.#api.isRunning) {
          throw new Error(
            `the API server did not start: ${messageOf(error)} (log: ${LAB_DIRECTORY}/log/api.log)`,
            { cause: error },
          );
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  /** Writes a kubeconfig, and puts calictl on the PATH of `lab exec`. */
  async #writeTools(): Promise<void> {
    const server = `http://${LAB_IPV4}:${API_PORT}`;
    const kubeconfig = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'lab', cluster: { server } }],
      users: [{ name: 'lab', user: {} }],
      contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab' } }],
      'current-context': 'lab',
    };
    await writeFile(path.join(LAB_DIRECTORY, 'kubeconfig'), stringify(kubeconfig));
    const script = `#!/bin/sh\nexec "${process.execPath}" "${path.join(this.#programs, 'calictl.js')}" "$@"\n`;
    await writeFile(path.join(LAB_DIRECTORY, 'bin', 'calictl'), script, { mode: 0o755 });
  }
}
