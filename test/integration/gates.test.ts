/** Each gate of `npm run check` refuses what it is there for: violations are planted in a copy of the repository. */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '..', '..');
/** Every folder that holds TypeScript, a new one too. */
const folders = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !/^\.|^(node_modules|dist|coverage)$/.test(entry.name))
  .map(({ name }) => name)
  .filter((name) =>
    readdirSync(path.join(root, name), { recursive: true }).some((file) => `${file}`.endsWith('.ts')),
  );
const pureFolders = [
  ...['ipam', 'ipip', 'model', 'felix/calc', 'datastore/schema'],
  ...['rtnetlink', 'nfnetlink'].map((name) => `kernel/netlink/${name}`),
  ...['wire', 'session', 'rib', 'policy', 'group'].map((name) => `bgp/${name}`),
];
const up = (folder: string) => '../'.repeat(folder.split('/').length);

interface Plant {
  readonly gate: string;
  /** What the gate must say. */
  readonly says: RegExp;
  readonly file: string;
  readonly text: string;
}

/** An import that the named rule must refuse. */
function imports(rule: string, folder: string, target: string): Plant {
  const file = `${folder}/planted-${rule}-${target.replaceAll(/\W+/g, '-')}.ts`;
  const says = new RegExp(`error ${rule}: ${file.replaceAll('.', '\\.')}`);
  return { gate: 'import rules', says, file, text: `import '${target}';\n` };
}

const typeErrors = ['', ...folders.map((folder) => `${folder}/`)].map((folder): Plant => {
  const file = `${folder}planted-type.ts`;
  const text = "export const planted: number = 'text';\n";
  return { gate: 'types', says: new RegExp(`^${file}\\(1,14\\): error TS2322`, 'm'), file, text };
});

/** For each folder one that it must not import. */
const forbidden: Readonly<Record<string, string>> = {
  lib: 'datastore',
  datastore: 'bgp',
  ipam: 'felix',
  model: 'ipip',
  kernel: 'felix',
  ipip: 'felix',
  bgp: 'datastore',
  felix: 'ipam',
  cni: 'bgp',
  controllers: 'agent',
  agent: 'test',
  calictl: 'lab',
  lab: 'controllers',
};
const directions = [
  ...Object.entries(forbidden).map(([folder, other]) =>
    imports(`${folder}-imports`, folder, `../${other}/planted-type.ts`),
  ),
  imports('known-folders', 'stray', '../lib/planted-type.ts'),
  imports('wire-alone', 'bgp/wire', '../planted-type.ts'),
  imports('controllers-calc-only', 'controllers', '../felix/planted-type.ts'),
  imports('execa-in-one-file', 'agent', 'execa'),
  imports('kernel-alone-runs-programs', 'agent/serve', '../../lib/exec.ts'),
  imports('kernel-through-port', 'cni', '../kernel/linux.ts'),
  imports('kernel-through-port', 'agent/serve', '../../kernel/linux.ts'),
  imports('agent-inputs-reaches', 'agent/inputs', '../report/status.ts'),
  imports('bgp-rib-reaches', 'bgp/rib', '../peer/config.ts'),
  imports('agent-layers', 'agent/stray', '../../lib/cidr.ts'),
  imports('client-node-in-one-file', 'agent', '@kubernetes/client-node'),
  imports('resolvable', 'agent', './nowhere.ts'),
  {
    // Through another file, which is allowed to be imported itself.
    gate: 'import rules',
    says: /error agent-inputs-reaches: agent\/inputs\/planted-far\.ts → agent\/report\/status\.ts/,
    file: 'agent/inputs/planted-far.ts',
    text: "import './planted-agent-inputs-reaches--report-status-ts.ts';\n",
  },
  {
    gate: 'import rules',
    says: /error no-cycles: lib\/planted-(there|back)\.ts/,
    file: 'lib/planted-there.ts',
    text: "import './planted-back.ts';\n",
  },
];

const builtins =
  'net dgram dns tls http https http2 fs fs/promises child_process cluster worker_threads os timers timers/promises';
const purity = [
  ...pureFolders.flatMap((folder) => [
    imports('pure-of-builtins', folder, 'node:net'),
    imports('pure-of-builtins', folder, `${up(folder)}lib/planted-files.ts`),
  ]),
  ...builtins
    .split(' ')
    .flatMap((name) => [
      imports('pure-of-builtins', 'felix/calc', name),
      imports('pure-of-builtins', 'felix/calc/bgp', `node:${name}`),
    ]),
  imports('pure-of-builtins', 'ipip', 'node:sqlite'),
  imports('pure-of-packages', 'felix/calc', 'execa'),
  imports('pure-of-packages', 'felix/calc', '../../lib/exec.ts'),
  imports('pure-of-packages', 'felix/calc', '../../lib/log.ts'),
  imports('pure-of-packages', 'felix/calc', '../../datastore/kubernetes/kube-config.ts'),
  ...['exec', 'http', 'libc', 'log', 'memory', 'time'].map((name) =>
    imports('pure-of-side-effects', 'bgp/policy', `../../lib/${name}.ts`),
  ),
  imports('pure-of-side-effects', 'ipip', '../lib/planted-time.ts'),
  {
    gate: 'import rules',
    says: /error pure-of-builtins: ipam\/planted-late\.ts/,
    file: 'ipam/planted-late.ts',
    text: "export const late = () => import('node:fs');\n",
  },
];

const others: readonly Plant[] = [
  {
    gate: 'lint and format',
    says: /felix\/calc\/planted-timer\.ts.*noRestrictedGlobals/,
    file: 'felix/calc/planted-timer.ts',
    text: 'setTimeout(() => undefined, 1);\n',
  },
  {
    gate: 'lint and format',
    says: /controllers\/planted-format\.ts format/,
    file: 'controllers/planted-format.ts',
    text: 'export const planted = "text"\n',
  },
  {
    gate: 'type-aware lint',
    says: /no-floating-promises[\s\S]*controllers\/planted-promise\.ts/,
    file: 'controllers/planted-promise.ts',
    text: 'Promise.resolve(1);\n',
  },
  ...['Date.now()', 'Math.random()', 'new Date()', 'setImmediate(() => {})', 'performance.now()'].map(
    (text, index): Plant => ({
      gate: 'time rules',
      says: new RegExp(
        `^felix/dataplane/planted-time-${index}\\.ts: ${text.split('(')[0]}.*: take a Time`,
        'm',
      ),
      file: `felix/dataplane/planted-time-${index}.ts`,
      text: `// Not Date.now in a comment.\nexport const planted = ${text};\n`,
    }),
  ),
  {
    gate: 'file sizes',
    says: /^lib\/planted-long\.ts: 401 lines, at most 400/,
    file: 'lib/planted-long.ts',
    text: '// planted\n'.repeat(401),
  },
  {
    gate: 'unused code',
    says: /^plantedExport\b.*lib\/backoff\.ts/m,
    file: 'lib/backoff.ts',
    text: 'export const plantedExport = 1;\n',
  },
  {
    gate: 'unused code',
    says: /^controllers\/planted-unused\.ts/m,
    file: 'controllers/planted-unused.ts',
    text: 'export const planted = 1;\n',
  },
  {
    gate: 'generated CRDs',
    says: /bgppeers/,
    file: 'deploy/crds/projectcalico.org_bgppeers.yaml',
    text: '# planted\n',
  },
  { gate: 'generated manifest', says: /cali\.yaml/, file: 'deploy/cali.yaml', text: '# planted\n' },
];

/** What the rules reach through, and what they must let pass. */
const aids: Readonly<Record<string, string>> = {
  'lib/planted-back.ts': "import './planted-there.ts';\n",
  'lib/planted-files.ts': "import 'node:fs';\n",
  'lib/planted-time.ts': "import './time.ts';\n",
  'felix/calc/planted-innocent.ts':
    "import type { Socket } from 'node:net';\nimport type { Log } from '../../lib/log.ts';\nexport type Planted = Socket | Log;\n",
};
const all: readonly Plant[] = [...typeErrors, ...directions, ...purity, ...others];

let copy = '';
const reports = new Map<string, { isPassed: boolean; text: string }>();

beforeAll(() => {
  copy = mkdtempSync(path.join(os.tmpdir(), 'cali-gates-'));
  const skipped = new Set(['.git', 'node_modules', 'dist'].map((name) => path.join(root, name)));
  cpSync(root, copy, { recursive: true, filter: (source) => !skipped.has(source) });
  symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  for (const [file, text] of Object.entries(aids)) writeFileSync(path.join(copy, file), text);
  for (const { file, text } of all) {
    mkdirSync(path.dirname(path.join(copy, file)), { recursive: true });
    appendFileSync(path.join(copy, file), text);
  }
  const { stdout, stderr } = spawnSync(process.execPath, [path.join(copy, 'scripts', 'check.mjs')], {
    encoding: 'utf8',
    maxBuffer: 256 << 20,
  });
  for (const section of stdout.split(/^(?=[✓✗] )/m)) {
    const [, mark, name, text] = /^([✓✗]) (.*)\n([\s\S]*)$/.exec(section) ?? [];
    if (name) reports.set(name, { isPassed: mark === '✓', text: text! });
  }
  if (reports.size === 0) throw new Error(`no report: ${stdout}${stderr}`);
}, 600_000);

afterAll(() => {
  if (copy) rmSync(copy, { recursive: true, force: true });
});

describe('npm run check', () => {
  test.each(all)('$gate refuses $file', ({ gate, says }) => {
    expect(reports.get(gate)?.isPassed).toBe(false);
    expect(reports.get(gate)!.text).toMatch(says);
  });

  test('the import rules let type-only imports pass', () => {
    expect(reports.get('import rules')!.text).not.toContain('planted-innocent');
  });

  test('the import rules have a direction for every folder', () => {
    expect([...Object.keys(forbidden), 'test'].sort()).toEqual([...folders].sort());
  });

  test('every gate refuses at least one planted fault', () => {
    expect([...reports].filter(([, { isPassed }]) => isPassed).map(([name]) => name)).toEqual([]);
    expect(new Set(all.map(({ gate }) => gate))).toEqual(new Set(reports.keys()));
  });
});
