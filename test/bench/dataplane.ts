/**
 * npm run bench:dataplane [-- --routes 10000,100000 --runs 5 --only felix,BIRD | --small]: compares felix with
 * `ip -batch`, BIRD's kernel protocol and FRR's zebra, which install the same routes to remote blocks in turns, in one
 * network namespace. Then it measures what a change costs felix while the routes are present, and nftables.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArguments } from '../../lib/arguments.ts';
import { plainTable } from '../../lib/table.ts';
import { measureChanges } from './dataplane/changes.ts';
import { serveFelix } from './dataplane/felix.ts';
import { nftablesColumns, nftablesRows } from './dataplane/nftables.ts';
import { programs, type Run } from './dataplane/programs.ts';
import { createLinks, type Way } from './dataplane/world.ts';
import { machine } from './machine.ts';
import { quantile } from './statistics.ts';

const { values } = parseArguments({
  options: {
    routes: { type: 'string', default: '10000,100000' },
    runs: { type: 'string', default: '5' },
    /** Names of the programs; default: all that are installed. */
    only: { type: 'string', default: '' },
    /** A run of seconds to show that the bench works; its figures mean nothing. */
    small: { type: 'boolean', default: false },
    inside: { type: 'boolean', default: false },
    felix: { type: 'boolean', default: false },
  },
});
const counts = values.small ? [200] : values.routes.split(',').map(Number);
const runs = values.small ? 1 : Number(values.runs);
const only = values.only.split(',').filter(Boolean);
const chosen = programs.filter(
  ({ name, isInstalled }) => isInstalled() && (only.length === 0 || only.includes(name)),
);

async function inside(): Promise<void> {
  await createLinks();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cali-bench-'));
  process.stdout.write(`${machine()}; medians of ${runs} runs\n`);
  for (const count of counts) {
    if (chosen.length > 0)
      for (const way of ['direct', 'over VXLAN'] as const) await installation(count, way, folder);
    if (only.length === 0 || only.includes('felix')) await changes(count);
  }
  if (only.length === 0 || only.includes('nftables')) await nftables();
  rmSync(folder, { recursive: true });
}

async function installation(count: number, way: Way, folder: string): Promise<void> {
  const results = new Map<string, Run[]>();
  for (let turn = 0; turn < runs; turn++)
    for (const { name, install } of chosen.filter(
      ({ isOnlyDirect, mostRoutes = count }) => (way === 'direct' || !isOnlyDirect) && count <= mostRoutes,
    ))
      results.set(name, [...(results.get(name) ?? []), await install(count, way, folder)]);
  const middle = (name: string, of: (run: Run) => number) => quantile((results.get(name) ?? []).map(of), 0.5);
  const ours = middle('felix', ({ wallMs }) => wallMs);
  const rows = [...results].map(([name, [first]]) => {
    const wall = middle(name, ({ wallMs }) => wallMs);
    return [
      name,
      `${wall.toFixed(0)} ms`,
      `${middle(name, ({ cpuMs }) => cpuMs).toFixed(0)} ms`,
      first?.memory === undefined
        ? ''
        : `${(middle(name, ({ memory }) => memory ?? 0) / 2 ** 20).toFixed(0)} MB`,
      (ours / wall).toFixed(2),
    ];
  });
  process.stdout.write(
    `\n${count.toLocaleString('en')} routes, ${way}\n\n${plainTable(['', 'wall', 'CPU', 'memory', 'felix : this'], rows)}\n`,
  );
}

async function nftables(): Promise<void> {
  for (const nodes of values.small ? [10] : [100, 5000])
    process.stdout.write(`\n${plainTable(nftablesColumns, await nftablesRows(nodes, runs * 20))}\n`);
}

async function changes(count: number): Promise<void> {
  const turns = values.small
    ? { changes: 3, drifts: 1, seconds: 1 }
    : { changes: 300, drifts: 20, seconds: 10 };
  const { change, drift, foreign } = await measureChanges(count, turns);
  const rows = [
    [
      'one route changed',
      `p50 ${change.p50.toFixed(2)} ms, p99 ${change.p99.toFixed(2)} ms, CPU ${change.cpuMs.toFixed(2)} ms`,
    ],
    ['a removed route is back', `p50 ${drift.p50.toFixed(0)} ms, at most ${drift.max.toFixed(0)} ms`],
    [
      `${Math.round(foreign.perSecond).toLocaleString('en')} foreign changes a second`,
      `${(foreign.share * 100).toFixed(1)} % of a core, our routes are ${foreign.isUnchanged ? 'unchanged' : 'CHANGED'}`,
    ],
  ];
  process.stdout.write(
    `\nfelix with ${count.toLocaleString('en')} routes present\n\n${plainTable(['', ''], rows)}\n`,
  );
}

if (values.felix) await serveFelix();
else if (values.inside) await inside();
else {
  const namespaces = ['--net', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'])];
  const again = [process.execPath, ...process.argv.slice(1), '--inside'];
  process.exitCode = spawnSync('unshare', [...namespaces, ...again], { stdio: 'inherit' }).status ?? 1;
}
