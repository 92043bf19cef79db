import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { labProgram, root } from '../helpers/lab.ts';

const isRoot = process.getuid?.() === 0;

/** Returns this machine's processes that belong to the lab in that directory, or that run one of our bundles. */
function labProcesses(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(path.join(root, 'dist', 'cali-')));
}

function runOnce(prefix: readonly string[], args: readonly string[]) {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'cali-test-once-'));
  chmodSync(directory, 0o777);
  const labDirectory = path.join(directory, 'lab');
  const netns = () => (existsSync('/run/netns') ? readdirSync('/run/netns') : []);
  const before = { netns: netns(), links: readdirSync('/sys/class/net') };
  const [file, ...rest] = [...prefix, process.execPath, labProgram, 'start', '--once', ...args];
  const ran = spawnSync(file!, rest, {
    encoding: 'utf8',
    env: { ...process.env, CALI_LAB_DIR: labDirectory, HOME: directory },
    timeout: 500_000,
  });
  const left = {
    files: readdirSync(directory),
    processes: labProcesses(),
    netns: netns(),
    links: readdirSync('/sys/class/net'),
  };
  rmSync(directory, { recursive: true, force: true });
  expect(left).toEqual({ files: [], processes: [], ...before });
  return ran;
}

describe('npm start -- --once', () => {
  it('starts four nodes and twelve pods, finds every pair reachable, and leaves nothing behind', () => {
    const { status, stdout, stderr } = runOnce([], ['--json']);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const report = JSON.parse(stdout) as {
      nodes: unknown[];
      pods: unknown[];
      pairs: number;
      probes: number;
      unreachable: unknown[];
    };
    expect(report.nodes).toHaveLength(4);
    expect(report.pods).toHaveLength(12);
    // Each of 12 pods probes 11 others and 4 nodes, over IPv4 and IPv6.
    expect(report.pairs).toBe(12 * 15);
    expect(report.probes).toBe(12 * 15 * 2);
    expect(report.unreachable).toEqual([]);
  });

  it('reports in words what it did', () => {
    const { status, stdout } = runOnce([], ['--nodes', '2', '--pods', '1']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/✓ (VXLAN|IPIP) between the subnets/);
    expect(stdout).toContain('✓ all pods reach all pods and nodes: 6 of 6 pairs, IPv4 and IPv6');
    expect(stdout).toContain('IPv4 BGP status\n+-');
    expect(stdout).toMatch(
      /\| 172\.19\.0\.12 +\| node-to-node mesh \| up +\| \d\d:\d\d:\d\d \| Established \| 1 +\| 1 +\|/,
    );
  });

  it.skipIf(!isRoot)(
    'does the same for an ordinary user (skipped unless the tests run as root, who can become one)',
    () => {
      const { status, stdout, stderr } = runOnce(
        ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'],
        ['--json'],
      );
      expect(stderr).toBe('');
      expect(status).toBe(0);
      expect((JSON.parse(stdout) as { unreachable: unknown[] }).unreachable).toEqual([]);
    },
  );

  it('starts eight nodes with ten pods each and checks all 6,320 ordered pairs of pods, and every node', () => {
    const { status, stdout } = runOnce([], ['--json', '--nodes', '8', '--pods', '10', '--no-ipv6']);
    expect(status).toBe(0);
    const report = JSON.parse(stdout) as { pairs: number; unreachable: unknown[] };
    expect(report.pairs).toBe(80 * 79 + 80 * 8);
    expect(report.unreachable).toEqual([]);
  });

  it('builds what a topology file describes, and names the wrong field in a bad one', () => {
    const file = path.join(mkdtempSync(path.join(os.tmpdir(), 'cali-topology-')), 'lab.yaml');
    const write = (text: string) => spawnSync('tee', [file], { input: text });
    write(`
nodes:
  - { name: east, pods: [web], annotations: { projectcalico.org/ASNumber: "65001" } }
  - { name: west, pods: [db], labels: { zone: w } }
pools: [{ cidr: 10.10.0.0/24, blockSize: 28 }]
ipv6: false
`);
    const good = runOnce([], ['--json', '--topology', file]);
    expect(good.status).toBe(0);
    const report = JSON.parse(good.stdout) as {
      pods: { name: string; addresses: string[] }[];
      unreachable: unknown[];
    };
    expect(report.pods.every(({ addresses }) => addresses[0]!.startsWith('10.10.0.'))).toBe(true);
    expect(report.unreachable).toEqual([]);
    write('nodes: [{ name: East }]');
    expect(runOnce([], ['--topology', file]).stderr).toMatch(
      /nodes\[0\]\.name: "East": invalid name: use lower case letters/,
    );
    rmSync(path.dirname(file), { recursive: true });
  });
});
