/** What felix does while many routes are present: one change, drift, and changes of other programs. */
import { spawn } from 'node:child_process';
import { quantile } from '../statistics.ts';
import { FelixProcess } from './programs.ts';
import { blocks, cpuOf, ip, prefixCount, untilPrefixes } from './world.ts';

export interface Changes {
  /** One changed route: milliseconds until programmed, and CPU per change. */
  readonly change: { readonly p50: number; readonly p99: number; readonly cpuMs: number };
  /** A route removed by another program: milliseconds until it is back. */
  readonly drift: { readonly p50: number; readonly max: number };
  /** Changes of other programs per second, and felix's share of a core meanwhile. */
  readonly foreign: { readonly perSecond: number; readonly share: number; readonly isUnchanged: boolean };
}

export async function measureChanges(
  n: number,
  turns: { changes: number; drifts: number; seconds: number },
): Promise<Changes> {
  const felix = new FelixProcess();
  await felix.ask({ program: n, way: 'direct' });
  await felix.ask({ change: 20 });
  const cpuBefore = cpuOf(felix.pid);
  const times = await felix.ask({ change: turns.changes });
  const change = {
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    cpuMs: (cpuOf(felix.pid) - cpuBefore) / turns.changes,
  };
  const present = prefixCount();
  const drifts: number[] = [];
  for (let turn = 0; turn < turns.drifts; turn++) {
    // Let felix observe the previous correction first.
    await new Promise((resolve) => setTimeout(resolve, 600));
    await ip([`route del ${blocks(n)[(turn * 31) % n]} proto 162`]);
    drifts.push(await untilPrefixes(present, performance.now()));
  }
  const foreign = await measureForeign(felix, turns.seconds);
  const isUnchanged = prefixCount() === present;
  await felix.close();
  await ip(['route flush proto 162']);
  return {
    change,
    drift: { p50: quantile(drifts, 0.5), max: Math.max(...drifts) },
    foreign: { ...foreign, isUnchanged },
  };
}

/** Adds and removes routes of another program, 10,000 a second if the kernel can. */
async function measureForeign(
  felix: FelixProcess,
  seconds: number,
): Promise<{ perSecond: number; share: number }> {
  const child = spawn('ip', ['-force', '-batch', '-'], { stdio: ['pipe', 'ignore', 'ignore'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const pairs = Array.from(
    { length: 50 },
    (_, i) => `route add 172.16.${i}.0/24 dev up0 proto 99\nroute del 172.16.${i}.0/24 dev up0 proto 99\n`,
  ).join('');
  const cpuBefore = cpuOf(felix.pid);
  const startedAt = performance.now();
  let sent = 0;
  while (performance.now() - startedAt < seconds * 1000) {
    const due = Math.floor((performance.now() - startedAt) / 10);
    for (; sent < due; sent++) child.stdin.write(pairs);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  child.stdin.end();
  await exited;
  const elapsed = performance.now() - startedAt;
  return { perSecond: (sent * 100 * 1000) / elapsed, share: (cpuOf(felix.pid) - cpuBefore) / elapsed };
}
