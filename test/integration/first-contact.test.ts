/** What the scripts say on a machine that is not ready: each case is made, none is described. */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '..', '..');
const isRoot = process.getuid?.() === 0;
let folder = '';
let clone = '';

interface Ran {
  readonly code: number | null;
  readonly text: string;
  readonly seconds: number;
}

/** Runs a command without what npm handed to these tests; its output of both kinds. */
function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const startedAt = performance.now();
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_|_proxy$|^CI$/i.test(name));
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: clone,
      env: { ...Object.fromEntries(inherited), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
    child.on('close', (code) => resolve({ code, text, seconds: (performance.now() - startedAt) / 1000 }));
  });
}

/** Runs statements in a module that can import the scripts of the clone. */
function script(code: string, env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return run(process.execPath, ['--input-type=module', '-e', code], env);
}

beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-first-contact-'));
  clone = path.join(folder, 'clone');
  mkdirSync(clone);
  for (const name of ['scripts', 'package.json', 'package-lock.json', '.npmrc'])
    cpSync(path.join(root, name), path.join(clone, name), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('an old Node', () => {
  let node = '';
  beforeAll(async () => {
    const home = path.join(folder, 'node18');
    mkdirSync(home);
    writeFileSync(path.join(home, 'package.json'), '{}');
    const { status } = spawnSync(
      'npm',
      ['install', '--no-audit', '--no-fund', '--fetch-retries=0', '--foreground-scripts', 'node@18'],
      { cwd: home, timeout: 240_000 },
    );
    const program = path.join(home, 'node_modules', 'node', 'bin', 'node');
    if (status === 0 && existsSync(program)) node = program;
  }, 300_000);

  test('18 is refused in one sentence that names both versions (skipped when npm cannot fetch it)', async ({
    skip,
  }) => {
    if (!node) skip("npm's package node@18 cannot be installed here");
    const { code, text } = await run(node, ['scripts/enter.cjs', 'run', 'cali-lab', 'start']);
    expect(code).toBe(1);
    expect(text).toMatch(
      /^Cali needs Node 20\.19 or 22\.12 or later, but this is Node 18\.\d+\.\d+ \(.*\)\.\nInstall a newer one/,
    );
    expect(text.trim().split('\n')).toHaveLength(2);
  });

  test('package-lock.json repeats the versions of package.json', () => {
    const read = (name: string) => JSON.parse(readFileSync(path.join(root, name), 'utf8'));
    expect(read('package-lock.json').packages[''].engines).toEqual(read('package.json').engines);
  });

  test('every script of package.json starts with the version check', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const others = Object.entries(scripts).filter(([, line]) => !/^node scripts\/enter\.cjs \w+/.test(line));
    expect(others.map(([name]) => name)).toEqual(['typecheck', 'format']);
  });

  test('the version check uses only syntax that Node 12 parses', async () => {
    const { transform } = await import('esbuild');
    const source = readFileSync(path.join(root, 'scripts', 'enter.cjs'), 'utf8');
    // esbuild rewrites what a target lacks, so that lines that need no rewriting come out alike.
    const [asIs, forNode12] = await Promise.all(
      ['esnext', 'node12.0'].map((target) =>
        transform(source, { target, supported: { 'dynamic-import': true } }),
      ),
    );
    expect(forNode12!.code).toBe(asIs!.code);
  });
});

describe.concurrent('a package registry', () => {
  const start = (env: NodeJS.ProcessEnv) =>
    run('npm', ['run', '--silent', 'calictl'], {
      npm_config_cache: path.join(folder, 'cache'),
      ...env,
    });

  test('that refuses connections is named with the reason and a remedy', async () => {
    const { code, text } = await start({ npm_config_registry: 'http://127.0.0.1:9/' });
    expect(code).toBe(1);
    expect(text).toContain('npm cannot reach the registry http://127.0.0.1:9/ (ECONNREFUSED)');
    expect(text).toContain('set another registry: npm config set registry URL');
    expect(text).not.toMatch(/^ {4}at /m);
  });

  test('that accepts connections but never answers is named as well', async () => {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    try {
      const { port } = server.address() as { port: number };
      const { code, text } = await start({ npm_config_registry: `http://127.0.0.1:${port}/` });
      expect(code).toBe(1);
      expect(text).toContain(
        `npm cannot reach the registry http://127.0.0.1:${port}/ (no answer); trying npm's cache …`,
      );
    } finally {
      server.close();
    }
  });

  test('behind a proxy that is down is named with the proxy, without the password', async () => {
    const { code, text } = await start({
      npm_config_registry: 'https://registry.invalid/',
      HTTPS_PROXY: 'http://user:secret@127.0.0.1:9',
    });
    expect(code).toBe(1);
    expect(text).toContain('https://registry.invalid/ through the proxy http://127.0.0.1:9');
    expect(text).not.toContain('secret');
  });
});

test('a read-only home is replaced by a cache in the clone', async () => {
  const { text } = await run('npm', ['run', '--silent', 'calictl'], {
    HOME: '/dev/null',
    npm_config_registry: 'http://127.0.0.1:9/',
  });
  const cache = path.join(clone, 'dist', 'npm-cache');
  expect(text).toContain(`npm's cache /dev/null/.npm cannot be written (ENOTDIR): using ${cache}.`);
  expect(existsSync(cache)).toBe(true);
});

test('a host without npm, or with an npm of 2018, gets the version that Cali needs', async () => {
  const bin = path.join(folder, 'bin');
  mkdirSync(bin);
  const start = () => run(process.execPath, ['scripts/enter.cjs', 'run', 'calictl'], { PATH: bin });
  expect(await start()).toMatchObject({ code: 1, text: expect.stringMatching(/^npm is not installed: /) });
  writeFileSync(path.join(bin, 'npm'), '#!/bin/sh\necho 6.14.18\n', { mode: 0o755 });
  expect(await start()).toMatchObject({
    code: 1,
    text: 'npm 6.14.18 cannot read package-lock.json: Cali needs npm 7 or later.\n',
  });
});

describe('host programs', () => {
  const wanted = "{ 'no-such-program': ['its-package', 'nothing works'] }";
  const named = (isRequired: boolean) =>
    script(
      `import { nameMissing } from './scripts/commands.mjs'; process.exit(nameMissing(${wanted}, { isRequired: ${isRequired} }) ? 0 : 1);`,
    );

  test('that are missing are named with their package and the function that is lost', async () => {
    expect(await named(true)).toMatchObject({
      code: 1,
      text: 'no-such-program is missing (Debian package its-package): nothing works.\nInstall with: apt-get install its-package\n',
    });
    expect((await named(false)).text).toContain(
      '(Debian package its-package), which is optional: nothing works',
    );
  });

  // A stand-in: the real one would change this machine.
  test.skipIf(!isRoot)(
    'are installed after another apt has released its lock (skipped unless run as root)',
    async () => {
      const bin = path.join(folder, 'apt');
      mkdirSync(bin);
      const log = path.join(folder, 'apt.log');
      writeFileSync(
        path.join(bin, 'apt-get'),
        `#!/bin/sh
echo "$@" >> ${log}
[ $(grep -c update ${log}) -gt 1 ] && exit 0
echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)" >&2
exit 100
`,
        { mode: 0o755 },
      );
      const { text } = await script(
        `import { installMissing } from './scripts/commands.mjs'; await installMissing(${wanted});`,
        { PATH: `${bin}:${process.env['PATH']}` },
      );
      expect(text).toBe(
        'installing Debian packages: its-package …\nanother apt is running: waiting for its lock …\n',
      );
      const calls = readFileSync(log, 'utf8').trim().split('\n');
      expect(calls.map((line) => /update|install/.exec(line)?.[0])).toEqual(['update', 'update', 'install']);
      expect(calls[2]).toContain('DPkg::Lock::Timeout=');
    },
  );
});

test.each([
  ['EROFS', 'cannot be written (EROFS)'],
  ['ENOSPC', 'no space is left (ENOSPC)'],
])('a write to the clone that fails with %s is reported with the reason', async (code, sentence) => {
  const { text } = await script(
    `import { fileProblem } from './scripts/say.mjs'; console.log(fileProblem({ code: '${code}', path: '/clone/dist' }, '/clone'));`,
  );
  expect(text).toContain(`/clone/dist cannot be written`);
  expect(text).toContain(sentence);
});
