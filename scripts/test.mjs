// npm test: sets up, runs vitest, and closes with the plain line `N passed, N failed, N skipped`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ensureCommands, setUp } from './setup.mjs';

const [which, ...rest] = process.argv.slice(2);
await setUp();
// Tests that need one of these and do not find it say so and skip.
if (which !== 'unit')
  ensureCommands({
    bird: 'bird2',
    gcc: 'gcc',
    nft: 'nftables',
    conntrack: 'conntrack',
    kubectl: 'kubernetes-client',
    vtysh: 'frr',
    gobgpd: 'gobgpd',
    bgpctl: 'openbgpd',
    exabgp: 'exabgp',
    tcpdump: 'tcpdump',
    ping: 'iputils-ping',
    'linux.uml': 'user-mode-linux',
    modprobe: 'kmod',
  });

const folder = mkdtempSync(path.join(os.tmpdir(), 'cali-test-'));
const report = path.join(folder, 'report.json');
// The cluster's tests take long and are asked for by name.
const project = ['unit', 'system', 'hostile', 'interop', 'cluster'].includes(which)
  ? ['--project', which, ...rest]
  : [...(which === 'all' ? [] : ['--project', '!cluster', which]), ...rest].filter(Boolean);
const vitest = path.resolve(import.meta.dirname, '..', 'node_modules', 'vitest', 'vitest.mjs');
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', ...project, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
  { stdio: 'inherit' },
);
let counts = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 };
try {
  counts = JSON.parse(readFileSync(report, 'utf8'));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const failed = status === 0 ? counts.numFailedTests : Math.max(1, counts.numFailedTests);
process.stdout.write(
  `${counts.numPassedTests} passed, ${failed} failed, ${counts.numPendingTests + counts.numTodoTests} skipped\n`,
);
process.exit(status ?? 1);
