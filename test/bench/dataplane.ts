/**
 * npm run bench:dataplane [-- --routes 10000 --runs 5 | --small]: compares felix, which programs routes to that many
 * remote blocks, with a bare `ip -batch` of the same routes. In turns, in a network namespace, directly and through a
 * VXLAN device.
 */

import { spawnSync } from 'node:child_process';
import { ownTable } from '../../felix/calc/ruleset.ts';
import { Dataplane } from '../../felix/dataplane/dataplane.ts';
import type { DesiredDataplane } from '../../felix/dataplane/desired.ts';
import { linuxKernel } from '../../kernel/linux.ts';
import { Nftables } from '../../kernel/nftables.ts';
import { parseArguments } from '../../lib/arguments.ts';
import { systemClock } from '../../lib/clock.ts';
import { feed, run } from '../../lib/exec.ts';
import { silentLog } from '../../lib/log.ts';
import { plainTable } from '../../lib/table.ts';
import type { Route } from '../../model/route.ts';
import { DEFAULT_PROTOCOLS, NO_FORMER } from '../../model/route-protocols.ts';
import { machine } from './machine.ts';

const { values } = parseArguments({
  options: {
    routes: { type: 'string', default: '10000' },
    runs: { type: 'string', default: '5' },
    /** A run of seconds to show that the bench works; its figures mean nothing. */
    small: { type: 'boolean', default: false },
    inside: { type: 'boolean', default: false },
  },
});
const count = values.small ? 200 : Number(values.routes);
const runs = values.small ? 1 : Number(values.runs);

async function inside(): Promise<void> {
  const links = [
    'link add up0 type veth peer name up1',
    'link set up0 up',
    'link set up1 up',
    'addr add 10.0.0.1/16 dev up0',
    'link add vx0 type vxlan id 4096 dstport 4789 local 10.0.0.1 nolearning',
    'link set vx0 up',
  ];
  const made = await feed('ip', ['-batch', '-'], links, 10_000);
  if (!made.ok) throw new Error(made.stderr);
  const rows: string[][] = [];
  for (const kind of ['direct', 'over VXLAN'] as const) {
    const ours: number[] = [];
    const bare: number[] = [];
    for (let turn = 0; turn < runs; turn++) {
      bare.push(await batch(kind));
      ours.push(await felix(kind));
    }
    rows.push([kind, ms(ours), ms(bare), (median(ours) / median(bare)).toFixed(2)]);
  }
  process.stdout.write(
    `${machine()}; ${count.toLocaleString('en')} routes, medians of ${runs} runs\n\n` +
      `${plainTable(['', 'felix', 'ip -batch', 'felix : ip'], rows)}\n`,
  );
}

const node = (i: number) => `10.0.${(i >> 8) & 15}.${2 + (i % 250)}`;
const block = (i: number) => `10.${100 + (i >> 14)}.${(i >> 6) & 255}.${(i & 3) << 6}/26`;
const blocks = [...new Set(Array.from({ length: count * 16 }, (_, i) => block(i)))].slice(0, count);

async function batch(kind: 'direct' | 'over VXLAN'): Promise<number> {
  await clear();
  const via = kind === 'direct' ? 'up0' : 'vx0 onlink';
  const commands = blocks.map((prefix, i) => `route add ${prefix} via ${node(i)} dev ${via} proto 162`);
  const startedAt = performance.now();
  const result = await feed('ip', ['-batch', '-'], commands, 60_000);
  const elapsed = performance.now() - startedAt;
  if (!result.ok) throw new Error(result.stderr);
  await expectAll();
  return elapsed;
}

async function felix(kind: 'direct' | 'over VXLAN'): Promise<number> {
  await clear();
  const routes = blocks.map((destination, i): Route => {
    const common = { destination, type: 'unicast', protocol: 'bgp', device: undefined } as const;
    return kind === 'direct'
      ? { ...common, gateways: [node(i)] }
      : { ...common, gateways: [], tunnels: [{ gateway: node(i), device: 'vx0', isOnlink: true }] };
  });
  let applied = () => {};
  const isApplied = new Promise<void>((resolve) => {
    applied = resolve;
  });
  const kernel = linuxKernel(silentLog);
  const dataplane = new Dataplane(
    { node: 'bench' },
    {
      clock: systemClock,
      log: silentLog,
      kernel,
      nftables: new Nftables(ownTable, kernel.nft),
      refresh: () => {},
      observed: () => {},
      migrated: () => {},
      guarded: () => {},
      applied: () => applied(),
    },
  );
  const desired: DesiredDataplane = {
    routes,
    endpoints: [],
    addresses: [],
    tunnels: [],
    ruleset: { guard: [], whole: [], nat: [] },
    isLearnedComplete: true,
    ownership: { protocols: DEFAULT_PROTOCOLS, former: NO_FORMER, ranges: [] },
  };
  const startedAt = performance.now();
  dataplane.setDesired(desired);
  await isApplied;
  const elapsed = performance.now() - startedAt;
  const { problems } = dataplane.stats;
  dataplane.close();
  if (problems.length > 0) throw new Error(problems[0]);
  await expectAll();
  return elapsed;
}

async function clear(): Promise<void> {
  await run('ip', ['route', 'flush', 'proto', '162'], { timeoutMs: 60_000 });
}

async function expectAll(): Promise<void> {
  const { stdout } = await run('ip', ['route', 'show', 'proto', '162'], { timeoutMs: 60_000 });
  const present = stdout.split('\n').filter(Boolean).length;
  if (present !== count) throw new Error(`${present} of ${count} routes are present`);
}

function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]!;
}

function ms(list: readonly number[]): string {
  return `${median(list).toFixed(0)} ms`;
}

if (values.inside) await inside();
else {
  const namespaces = ['--net', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'])];
  const again = [process.execPath, ...process.argv.slice(1), '--inside'];
  process.exitCode = spawnSync('unshare', [...namespaces, ...again], { stdio: 'inherit' }).status ?? 1;
}
