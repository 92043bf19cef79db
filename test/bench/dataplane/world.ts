/** The namespace and the routes that every program installs, and how the bench observes the kernel and a process. */
import { readdirSync, readFileSync } from 'node:fs';
import { feed } from '../../../lib/exec.ts';

/** Clock ticks per second of /proc/PID/stat: always 100 on Linux. */
const TICKS = 100;

/** A direct route has its gateway on the link up0; one over VXLAN has it on-link on the device vx0. */
export type Way = 'direct' | 'over VXLAN';

const LINKS = [
  'link set lo up',
  'link add up0 type veth peer name up1',
  'link set up0 up',
  'link set up1 up',
  'addr add 10.0.0.1/16 dev up0',
  'link add vx0 type vxlan id 4096 dstport 4789 local 10.0.0.1 nolearning',
  'link set vx0 up',
];

/** Creates the links in this network namespace. */
export async function createLinks(): Promise<void> {
  await ip(LINKS);
}

/** Runs `ip -batch`. Throws when a command fails. */
export async function ip(commands: readonly string[]): Promise<void> {
  const { ok, stderr } = await feed('ip', ['-batch', '-'], commands, 120_000);
  if (!ok) throw new Error(stderr);
}

/** The gateway of block i: one of 4,000 nodes. */
export const gatewayOf = (i: number) => `10.0.${(i >> 8) & 15}.${2 + (i % 250)}`;

/** Returns n different /26 prefixes. */
export function blocks(n: number): string[] {
  return Array.from({ length: n }, (_, i) => {
    const value = 100 * 2 ** 24 + i * 64;
    return `${value >> 24}.${(value >> 16) & 255}.${(value >> 8) & 255}.${value & 255}/26`;
  });
}

/** Returns the number of IPv4 prefixes in the namespace's routing table. */
export function prefixCount(): number {
  const [, count = '0'] = /Prefixes:\s+(\d+)/.exec(readFileSync('/proc/self/net/fib_triestat', 'utf8')) ?? [];
  return Number(count);
}

/** Resolves with the milliseconds since `startedAt` (performance.now) when the table has that many prefixes. */
export async function untilPrefixes(wanted: number, startedAt: number): Promise<number> {
  for (;;) {
    const present = prefixCount();
    const elapsed = performance.now() - startedAt;
    if (present === wanted) return elapsed;
    if (elapsed > 300_000) throw new Error(`${present} of ${wanted} prefixes are present after 300 s`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Returns the CPU time of a process, and of its children that have ended or still run, in milliseconds. */
export function cpuOf(pid: number): number {
  return ownCpuOf(pid) + cpuOfEnded(pid) + childrenOf(pid).reduce((sum, child) => sum + cpuOf(child), 0);
}

/** The CPU time of a process's present threads, to the nanosecond. */
function ownCpuOf(pid: number): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const times = threads.map((thread) =>
      Number.parseInt(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8'), 10),
    );
    return times.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e6;
  } catch {
    return 0;
  }
}

/** The CPU time of children that have ended. */
function cpuOfEnded(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [user = 0, system = 0] = fields.slice(13, 15);
    return ((user + system) * 1000) / TICKS;
  } catch {
    return 0;
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

/** Returns the largest resident memory of a process so far, in bytes. */
export function peakMemoryOf(pid: number): number {
  const [, kilobytes = '0'] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}
