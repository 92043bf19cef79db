/** `calictl node diags`: what somebody needs who looks at a node from afar, in one archive. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { CodedError } from '../lib/errors.ts';
import { run } from '../lib/exec.ts';

/** File and command: everything that is read, nothing that changes anything. */
const commands: Readonly<Record<string, readonly string[]>> = {
  date: ['date', '-u'],
  hostname: ['hostname'],
  uname: ['uname', '-a'],
  'ip-address': ['ip', '-s', 'address'],
  'ip-link': ['ip', '-d', '-s', 'link'],
  'ip-route-v4': ['ip', '-4', 'route', 'show', 'table', 'all'],
  'ip-route-v6': ['ip', '-6', 'route', 'show', 'table', 'all'],
  'ip-rule': ['ip', 'rule'],
  'ip-neighbour': ['ip', 'neighbour'],
  'bridge-fdb': ['bridge', 'fdb', 'show'],
  nft: ['nft', '-s', 'list', 'ruleset'],
  'iptables-save': ['iptables-save'],
  conntrack: ['conntrack', '-S'],
  sockets: ['ss', '-tnp'],
  sysctl: ['sh', '-c', 'grep -r . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf 2>/dev/null'],
  modules: ['lsmod'],
  'cni-configuration': ['sh', '-c', 'head -c 20000 /etc/cni/net.d/* 2>/dev/null'],
  endpoints: ['sh', '-c', 'cd "$CALI_RUN_DIR" 2>/dev/null || cd /var/run/cali && head -c 200000 endpoints/*'],
};

export interface Diagnostics {
  readonly archive: string;
  /** Commands that are not on this machine. */
  readonly missing: readonly string[];
}

/**
 * Writes `diags-YYYYMMDD_HHMMSS.tar.gz` into a folder. `questions` are asked of the agent, by file name; one that is not
 * answered is a file with the reason.
 */
export async function collectDiagnostics(
  folder: string,
  questions: Readonly<Record<string, () => Promise<unknown>>>,
  now: Date,
): Promise<Diagnostics> {
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '_').slice(0, 15);
  const name = `diags-${stamp}`;
  const parent = await mkdtemp(path.join(os.tmpdir(), 'cali-diags-'));
  const missing: string[] = [];
  try {
    const target = path.join(parent, name);
    await mkdir(target);
    for (const [file, [command, ...args]] of Object.entries(commands)) {
      const { outcome, stdout, stderr } = await run(command!, args);
      if (outcome === 'missing') missing.push(command!);
      const text = [stdout, stderr].filter(Boolean).join('\n');
      await writeFile(path.join(target, `${file}.txt`), `# ${[command, ...args].join(' ')}\n${text}\n`);
    }
    for (const [file, ask] of Object.entries(questions)) {
      const answer = await ask().then(
        (value) => JSON.stringify(value, undefined, 2),
        (error: unknown) => String(error),
      );
      await writeFile(path.join(target, `${file}.json`), `${answer}\n`);
    }
    await mkdir(folder, { recursive: true });
    const archive = path.join(folder, `${name}.tar.gz`);
    const { ok, stderr } = await run('tar', ['-czf', archive, '-C', parent, name], { timeoutMs: 60_000 });
    if (!ok) throw new CodedError('FAILED', `${archive} cannot be written: ${stderr}`);
    return { archive, missing: [...new Set(missing)] };
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}
