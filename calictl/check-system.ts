/**
 * `calictl node checksystem`: checks whether this machine can be a node. It tries each kernel feature in a temporary
 * network namespace instead of reading lists of modules, because features may be built in or loaded on demand.
 */
import os from 'node:os';
import { CodedError } from '../lib/errors.ts';
import { run } from '../lib/exec.ts';
import { libc } from '../lib/libc.ts';

export interface Check {
  readonly name: string;
  readonly isNeeded: boolean;
  /** Why it is missing; undefined when it is available. */
  readonly problem: string | undefined;
}

/** Oldest kernel with all required features: nf_tables sets with intervals and inet NAT (5.2). */
const OLDEST: readonly [number, number] = [5, 2];

interface Trial {
  readonly name: string;
  readonly isNeeded: boolean;
  /** Shell commands, run in a new namespace. */
  readonly script: string;
  readonly remedy: string;
}

const trials: readonly Trial[] = [
  {
    name: 'veth',
    isNeeded: true,
    script: 'ip link add t0 type veth peer name t1',
    remedy: 'load the module veth',
  },
  {
    name: 'proxy ARP',
    isNeeded: true,
    script: 'test -e /proc/sys/net/ipv4/conf/lo/proxy_arp',
    remedy: 'mount /proc',
  },
  {
    name: 'blackhole routes',
    isNeeded: true,
    script: 'ip link set lo up && ip route add blackhole 192.0.2.0/24 proto 161',
    remedy: 'install iproute2',
  },
  {
    name: 'VXLAN',
    isNeeded: false,
    script: 'ip link add t0 type vxlan id 4096 dstport 4789 nolearning',
    remedy: 'load the module vxlan; until then, vxlanMode must be Never',
  },
  {
    name: 'IPIP',
    isNeeded: false,
    script: 'ip link add t0 type ipip remote 192.0.2.1 local 192.0.2.2',
    remedy: 'load the module ipip; until then, ipipMode must be Never',
  },
  {
    name: 'nf_tables',
    isNeeded: false,
    script:
      "nft 'add table inet t; add chain inet t c { type nat hook postrouting priority 100; }; add rule inet t c masquerade'",
    remedy: 'install nftables and load nf_tables, nft_masq: without them, natOutgoing has no effect',
  },
  {
    name: 'conntrack',
    isNeeded: false,
    script: 'test -e /proc/sys/net/netfilter/nf_conntrack_max',
    remedy: 'load nf_conntrack and nf_conntrack_netlink: without them, connections of deleted pods remain',
  },
  {
    name: 'IPv6',
    isNeeded: false,
    script: 'test -e /proc/sys/net/ipv6/conf/all/forwarding',
    remedy: 'boot without ipv6.disable=1: until then, only IPv4 works',
  },
];

/** Runs all checks. Throws CodedError ROOT when not root. */
export async function checkSystem(): Promise<Check[]> {
  if (process.getuid?.() !== 0)
    throw new CodedError('ROOT', 'node checksystem creates network namespaces: run it as root (sudo)');
  const checks = [
    kernelCheck(os.release()),
    libraryCheck(libc() !== undefined),
    await toolCheck('ip', ['-V'], 'install iproute2'),
  ];
  for (const trial of trials) checks.push(await tryOut(trial));
  return checks;
}

export function kernelCheck(release: string): Check {
  // The minor number may have a suffix, as in 6.1-rc1.
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10) || 0);
  const isOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  return {
    name: `kernel ${release}`,
    isNeeded: true,
    problem: isOld ? `older than ${OLDEST.join('.')}: use a newer kernel` : undefined,
  };
}

/** The agent calls the kernel through koffi. `isLoaded`: whether koffi and the C library are. */
export function libraryCheck(isLoaded: boolean): Check {
  const remedy = 'install the packages with npm ci, on linux-x64 or linux-arm64 with glibc or musl';
  return { name: 'koffi', isNeeded: true, problem: isLoaded ? undefined : remedy };
}

async function toolCheck(name: string, args: string[], remedy: string): Promise<Check> {
  const { ok, outcome, stdout, stderr } = await run(name, args);
  return {
    name: ok ? (stdout.match(/iproute2\S*[\w.]/)?.[0] ?? name) : name,
    isNeeded: true,
    problem: ok ? undefined : outcome === 'timeout' ? stderr : remedy,
  };
}

async function tryOut({ name, isNeeded, script, remedy }: Trial): Promise<Check> {
  const { ok, code, stderr } = await run('unshare', ['--net', 'sh', '-c', script]);
  const reason = stderr.trim().split('\n')[0] || `exit ${code}`;
  return { name, isNeeded, problem: ok ? undefined : `${reason.replace(/\.$/, '')}: ${remedy}` };
}

/** Renders a line per check, as calicoctl does. */
export function renderChecks(checks: readonly Check[]): string {
  const lines = checks.map(({ name, isNeeded, problem }) => {
    const verdict = problem === undefined ? 'OK' : isNeeded ? 'FAIL' : 'missing';
    return `Checking ${`${name}...`.padEnd(34)} ${verdict}${problem ? `  (${problem})` : ''}`;
  });
  return [
    ...lines,
    isGood(checks)
      ? 'System meets the requirements of a node.'
      : 'System does not meet the requirements of a node.',
  ].join('\n');
}

export function isGood(checks: readonly Check[]): boolean {
  return checks.every(({ isNeeded, problem }) => !isNeeded || problem === undefined);
}
