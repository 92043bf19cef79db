/** A LAN of network namespaces for interop tests: our route reflector, another speaker, and BIRD as second client. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { PeerStatus } from '../../bgp/peer/config.ts';
import type { AdvertisedView, PathView, RouteView } from '../../bgp/routes-view.ts';
import { root } from './lab.ts';

/** Addresses on the LAN; `n` is the host part. */
export const v4 = (n: number) => `10.77.0.${n}`;
export const v6 = (n: number) => `fd77::${n}`;
/** The link-local address that follows from the MAC address of host `n`. */
export const linkLocal = (n: number) => `fe80::77ff:fe00:${n}`;

export type Place = 'cali' | 'peer' | 'client';
const hosts: Record<Place, number> = { cali: 1, peer: 2, client: 3 };

export class Exchange {
  readonly directory = mkdtempSync(path.join(os.tmpdir(), 'cali-interop-'));
  readonly #name = `cix${process.pid}`;
  readonly #children = new Set<ChildProcess>();
  #isClosed = false;

  constructor() {
    // Daemons that drop root write their sockets here.
    chmodSync(this.directory, 0o777);
    const { status, stderr } = sh(`
      ip netns add ${this.#name}-lan
      ip -n ${this.#name}-lan link add lan type bridge
      ip -n ${this.#name}-lan link set lan up
      ${Object.entries(hosts)
        .map(
          ([place, n]) => `
      ip netns add ${this.#name}-${place}
      ip -n ${this.#name}-${place} link add eth0 address 02:00:77:00:00:0${n} type veth peer name p${n} netns ${this.#name}-lan
      ip -n ${this.#name}-lan link set p${n} master lan up
      ip -n ${this.#name}-${place} link set lo up
      ip -n ${this.#name}-${place} addr add ${v4(n)}/24 dev eth0
      ip -n ${this.#name}-${place} addr add ${v6(n)}/64 dev eth0 nodad
      ip -n ${this.#name}-${place} link set eth0 up`,
        )
        .join('\n')}`);
    if (status !== 0) throw new Error(stderr);
  }

  /** Writes a file into the test's folder and returns its path. */
  write(name: string, text: string): string {
    const file = path.join(this.directory, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  }

  read(name: string): string {
    return readFileSync(path.join(this.directory, name), 'utf8');
  }

  /** Starts a program that stays in the foreground. */
  start(place: Place, command: readonly string[], environment: Record<string, string> = {}): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', `${this.#name}-${place}`, ...command], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
      cwd: this.directory,
    });
    let text = '';
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (!this.#isClosed) writeFileSync(path.join(this.directory, `${place}.log`), text);
      });
    }
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Runs a command to its end and returns its output. */
  run(place: Place, command: string): string {
    const { stdout, stderr } = spawnSync(
      'ip',
      ['netns', 'exec', `${this.#name}-${place}`, 'sh', '-c', command],
      {
        encoding: 'utf8',
        cwd: this.directory,
      },
    );
    return stdout + stderr;
  }

  startCali(documents: string): ChildProcess {
    const file = this.write('cali.yaml', documents);
    const program = path.join(root, 'dist', 'cali-node.js');
    return this.start('cali', [process.execPath, program, '--role', 'reflector', '--config', file], {
      CALI_RUN_DIR: this.directory,
      FELIX_HEALTHPORT: '0',
      BGP_LOGSEVERITYSCREEN: 'debug',
    });
  }

  #ask<T>(args: string): T {
    const program = path.join(root, 'dist', 'calictl.js');
    const text = this.run(
      'cali',
      `CALI_RUN_DIR=${this.directory} ${process.execPath} ${program} ${args} -o json 2>/dev/null`,
    );
    return JSON.parse(text || 'null') as T;
  }

  peers(): PeerStatus[] {
    return this.#ask<PeerStatus[] | null>('bgp peers') ?? [];
  }

  peer(address: string): PeerStatus | undefined {
    return this.peers().find(({ config }) => config.address === address);
  }

  routes(prefix = ''): RouteView[] {
    return this.#ask<RouteView[] | null>(`bgp routes ${prefix}`) ?? [];
  }

  /** Returns the path to a prefix that came from an address. */
  path(prefix: string, from: string): PathView | undefined {
    return this.routes(prefix)[0]?.paths.find((path) => path.from === from);
  }

  advertised(address: string): AdvertisedView[] {
    return this.#ask<{ advertised: AdvertisedView[] } | null>(`bgp neighbor ${address}`)?.advertised ?? [];
  }

  async stopChild(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  }

  /** Kills all programs of a place with SIGKILL, as in a crash, including their children. */
  async kill(place: Place, child: ChildProcess): Promise<void> {
    for (const pid of sh(`ip netns pids ${this.#name}-${place}`).stdout.split('\n').filter(Boolean))
      sh(`kill -9 ${pid}`);
    await this.stopChild(child, 'SIGKILL');
  }

  /** Stops all programs and deletes the namespaces, whatever state the test left. */
  async close(): Promise<void> {
    await Promise.all([...this.#children].map((child) => this.stopChild(child)));
    for (const place of ['lan', ...Object.keys(hosts)]) {
      // Daemons may have gone into the background: every process left in the namespace belongs to the test.
      const pids = sh(`ip netns pids ${this.#name}-${place}`).stdout.split('\n').filter(Boolean);
      for (const pid of pids) sh(`kill -9 ${pid}`);
      sh(`ip netns del ${this.#name}-${place}`);
    }
    this.#isClosed = true;
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function sh(script: string) {
  return spawnSync('sh', ['-ec', script], { encoding: 'utf8' });
}
