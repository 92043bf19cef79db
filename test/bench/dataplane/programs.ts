/**
 * The programs that install the same routes: felix, `ip -batch`, BIRD's kernel protocol and FRR's zebra. Each has its
 * routes ready before the clock starts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { run } from '../../../lib/exec.ts';
import type { FelixAnswer, FelixRequest } from './felix.ts';
import { blocks, cpuOf, gatewayOf, ip, peakMemoryOf, prefixCount, untilPrefixes, type Way } from './world.ts';

/** One program's run. */
export interface Run {
  /** Milliseconds from the start until the kernel has every route. */
  readonly wallMs: number;
  readonly cpuMs: number;
  /** Largest resident memory, bytes; undefined for a program that ends at once. */
  readonly memory: number | undefined;
}

export interface Program {
  readonly name: string;
  readonly isInstalled: () => boolean;
  /** BIRD and zebra need an address on a device to route through it, and vx0 has none. */
  readonly isOnlyDirect?: boolean;
  /** The largest number of routes to measure with; default: any. */
  readonly mostRoutes?: number;
  /** Installs n routes, and leaves none behind. */
  install(n: number, way: Way, folder: string): Promise<Run>;
}

/** Felix as a child process. */
export class FelixProcess {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    const args = [...process.execArgv, process.argv[1]!, '--felix'];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async ask(request: FelixRequest): Promise<FelixAnswer> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('felix exited');
    return JSON.parse(value as string) as FelixAnswer;
  }

  async close(): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin!.end();
    await exited;
  }
}

const felix: Program = {
  name: 'felix',
  isInstalled: () => true,
  async install(n, way) {
    const process = new FelixProcess();
    // The first apply reads an empty table and loads the code, as the agent's start does.
    await process.ask({ program: 1, way });
    const before = prefixCount() - 1;
    const cpuBefore = cpuOf(process.pid);
    const [wallMs = Number.NaN] = await process.ask({ program: n, way });
    await untilPrefixes(before + n, performance.now());
    const result = { wallMs, cpuMs: cpuOf(process.pid) - cpuBefore, memory: peakMemoryOf(process.pid) };
    await process.close();
    await flush('162');
    return result;
  },
};

const batch: Program = {
  name: 'ip -batch',
  isInstalled: () => true,
  async install(n, way) {
    const via = way === 'direct' ? 'up0' : 'vx0 onlink';
    const commands = blocks(n).map(
      (prefix, i) => `route add ${prefix} via ${gatewayOf(i)} dev ${via} proto 162`,
    );
    const cpuBefore = cpuOf(process.pid);
    const ownBefore = process.cpuUsage();
    const startedAt = performance.now();
    await ip(commands);
    const wallMs = performance.now() - startedAt;
    const own = process.cpuUsage(ownBefore);
    const cpuMs = cpuOf(process.pid) - cpuBefore - (own.user + own.system) / 1000;
    await flush('162');
    return { wallMs, cpuMs: Math.max(0, cpuMs), memory: undefined };
  },
};

const bird: Program = {
  name: 'BIRD',
  isOnlyDirect: true,
  isInstalled: () => existsSync('/usr/sbin/bird'),
  async install(n, _, folder) {
    const file = (name: string) => path.join(folder, `bird.${name}`);
    writeFileSync(
      file('conf'),
      `log "${file('log')}" all;
router id 10.0.0.1;
protocol device { }
protocol direct { ipv4; interface "up0"; }
protocol kernel install { disabled; ipv4 { import none; export where source = RTS_STATIC; }; }
protocol static { ipv4;
${blocks(n)
  .map((prefix, i) => `  route ${prefix} via ${gatewayOf(i)};`)
  .join('\n')}
}
`,
    );
    const child = spawn('bird', ['-f', '-c', file('conf'), '-s', file('ctl'), '-P', file('pid')], {
      stdio: 'ignore',
    });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    const control = (...words: string[]) => run('birdc', ['-s', file('ctl'), ...words]);
    await until(async () =>
      (await control('show', 'route', 'count')).stdout.includes(`${n + 1} of ${n + 1} routes`),
    );
    const before = prefixCount();
    const cpuBefore = cpuOf(child.pid!);
    const startedAt = performance.now();
    await control('enable', 'install');
    const wallMs = await untilPrefixes(before + n, startedAt);
    const result = { wallMs, cpuMs: cpuOf(child.pid!) - cpuBefore, memory: peakMemoryOf(child.pid!) };
    child.kill('SIGKILL');
    await exited;
    await flush('bird');
    return result;
  },
};

const zebra: Program = {
  name: 'FRR zebra',
  isOnlyDirect: true,
  // With 1,000 routes, FRR's daemons are not ready within minutes. The reason is not known yet.
  mostRoutes: 200,
  isInstalled: () => existsSync('/usr/lib/frr/zebra') && process.getuid?.() === 0,
  async install(n, _, folder) {
    const routes = path.join(folder, 'staticd.conf');
    writeFileSync(
      routes,
      blocks(n)
        .map((prefix, i) => `ip route ${prefix} ${gatewayOf(i)} up0\n`)
        .join(''),
    );
    const empty = path.join(folder, 'zebra.conf');
    writeFileSync(empty, '');
    const sockets = path.join(folder, 'frr');
    mkdirSync(sockets, { recursive: true });
    // The daemons give up their rights before they open their sockets.
    await run('chown', ['-R', 'frr:frr', folder]);
    const start = (name: string, config: string) =>
      spawn(
        `/usr/lib/frr/${name}`,
        [
          ...['-f', config, '-i', path.join(sockets, `${name}.pid`), '-z', path.join(sockets, 'zserv.api')],
          ...['--vty_socket', sockets, '-P', '0', '-u', 'frr', '-g', 'frr'],
        ],
        { stdio: 'ignore' },
      );
    // Static routes wait for their interface, so the clock starts when it comes up.
    const before = prefixCount();
    await ip(['link set up0 down']);
    const daemons = [start('zebra', empty)];
    await until(async () => existsSync(path.join(sockets, 'zserv.api')));
    daemons.push(start('staticd', routes));
    const [main] = daemons as [ChildProcess, ChildProcess];
    const exited = daemons.map((child) => new Promise((resolve) => child.once('exit', resolve)));
    await until(async () => {
      const { stdout } = await run('vtysh', ['--vty_socket', sockets, '-c', 'show running-config'], {
        timeoutMs: 120_000,
      });
      return (stdout.match(/^ip route /gm) ?? []).length === n;
    });
    const cpuBefore = daemons.map(({ pid }) => cpuOf(pid!));
    const startedAt = performance.now();
    await ip(['link set up0 up']);
    const wallMs = await untilPrefixes(before + n, startedAt);
    const cpuMs = daemons.reduce((sum, { pid }, i) => sum + cpuOf(pid!) - cpuBefore[i]!, 0);
    const memory = peakMemoryOf(main.pid!);
    for (const child of daemons) child.kill('SIGKILL');
    await Promise.all(exited);
    await flush('static');
    await flush('196');
    return { wallMs, cpuMs, memory };
  },
};

export const programs: readonly Program[] = [felix, batch, bird, zebra];

async function flush(protocol: string): Promise<void> {
  await run('ip', ['route', 'flush', 'proto', protocol], { timeoutMs: 120_000 });
}

/** Waits until the check succeeds. Throws after two minutes. */
async function until(check: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 120_000;
  while (performance.now() < end) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('a program is not ready after two minutes');
}
