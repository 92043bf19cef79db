// npm test: sets up, runs vitest, and ends with the line `N passed, N failed, N skipped`.
// npm run test:watch: runs the unit tests that a change affects, after each change.
// As root with CI=true or --install, it also installs the Debian packages that tests need.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { installMissing, nameMissing } from './commands.mjs';
import { optional, required, setUp } from './setup.mjs';

const skipped = (what) => `tests ${what} are skipped`;
/** Commands that tests need: Debian package, and what is not tested without it. */
const programs = {
  bird: ['bird2', skipped('with BIRD')],
  gcc: ['gcc', skipped('of the CNI shim')],
  nft: optional.nft,
  conntrack: ['conntrack', skipped('of connection tracking')],
  ethtool: ['ethtool', skipped('of the checksum offload')],
  kubectl: ['kubernetes-client', skipped('with kubectl')],
  vtysh: ['frr', skipped('with FRR')],
  gobgpd: ['gobgpd', skipped('with GoBGP')],
  bgpctl: ['openbgpd', skipped('with OpenBGPD')],
  exabgp: ['exabgp', skipped('with ExaBGP')],
  tcpdump: ['tcpdump', skipped('that capture packets')],
  ping: ['iputils-ping', skipped('that ping')],
  'linux.uml': ['user-mode-linux', skipped('of IPIP if this kernel does not support it')],
  promtool: ['prometheus', skipped('of metrics and alerts with promtool')],
  iperf3: ['iperf3', skipped('of bench:tunnels')],
  modprobe: ['kmod', skipped('in user-mode Linux')],
};

const given = process.argv.slice(2);
const isInstalling = given.includes('--install') || /^(true|1)$/.test(process.env.CI ?? '');
const [which, ...rest] = given.filter((argument) => argument !== '--install');
const isWatch = which === 'watch';
const isUnit = which === 'unit' || isWatch;
if (isInstalling) await installMissing(isUnit ? required : { ...required, ...programs });
await setUp();
if (!isUnit && !nameMissing(programs, { isRequired: false }))
  process.stderr.write('As root, `npm test -- --install` installs them.\n');

const folder = mkdtempSync(path.join(os.tmpdir(), 'cali-test-'));
const countsFile = path.join(folder, 'counts.json');
// The cluster's tests take long, so they run only when named.
const project = ['unit', 'integration', 'system', 'hostile', 'interop', 'cluster', 'watch'].includes(which)
  ? ['--project', isWatch ? 'unit' : which, ...rest]
  : [...(which === 'all' ? [] : ['--project', '!cluster', which]), ...rest].filter(Boolean);
const vitest = path.resolve(import.meta.dirname, '..', 'node_modules', 'vitest', 'vitest.mjs');
const reporter = path.join(import.meta.dirname, 'progress-reporter.mjs');

const child = spawn(
  process.execPath,
  [
    vitest,
    isWatch ? 'watch' : 'run',
    ...project,
    '--reporter=default',
    // In the terminal, vitest shows what runs.
    ...(isWatch ? [] : [`--reporter=${reporter}`]),
  ],
  {
    stdio: 'inherit',
    env: { ...process.env, CALI_TEST_COUNTS: countsFile },
    // A process group of its own, so that each signal comes from here, once. While watching, vitest reads the terminal.
    detached: !isWatch,
  },
);
// vitest would leave workers and labs behind, so a signal goes to all of them. Then this process waits for their exit.
// While watching, the terminal sends Ctrl-C to all of them.
let interruption;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    interruption = signal;
    if (signal !== 'SIGINT' || !isWatch)
      for (const pid of [child.pid, ...descendantsOf(child.pid)]) interrupt(pid);
  });
const status = await new Promise((resolve) =>
  child.once('exit', (code, signal) => {
    interruption ??= signal;
    resolve(code ?? 1);
  }),
);
const counts = existsSync(countsFile)
  ? JSON.parse(readFileSync(countsFile, 'utf8'))
  : { passed: 0, failed: 0, skipped: 0 };
rmSync(folder, { recursive: true, force: true });
if (isWatch) process.exit(interruption ? 130 : status);
if (interruption) process.stdout.write(`\nstopped by ${interruption}: not all tests ran\n`);
// The counts do not include a file that cannot be loaded or a hook that fails.
const failed = status === 0 || interruption ? counts.failed : Math.max(1, counts.failed);
process.stdout.write(`${counts.passed} passed, ${failed} failed, ${counts.skipped} skipped\n`);
process.exit(interruption ? 130 : status);

function descendantsOf(pid) {
  try {
    const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
    return children.flatMap((one) => [one, ...descendantsOf(one)]);
  } catch {
    return [];
  }
}

function interrupt(pid) {
  try {
    process.kill(pid, 'SIGINT');
  } catch {
    // It has ended.
  }
}
