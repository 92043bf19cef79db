/** `npm test` as a person meets it: it shows what runs, ends with its counts, and takes Ctrl-C. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

const root = path.resolve(import.meta.dirname, '..', '..');
let folder = '';

beforeAll(() => {
  mkdirSync(path.join(root, 'dist'), { recursive: true });
  // Below the repository, so that its vitest is found.
  folder = mkdtempSync(path.join(root, 'dist', '.npm-test-'));
  mkdirSync(path.join(folder, 'test', 'unit'), { recursive: true });
  // Without the repository's setup file, which refuses processes.
  const project = { test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } };
  writeFileSync(
    path.join(folder, 'vitest.config.ts'),
    `export default ${JSON.stringify({ test: { projects: [project] } })};\n`,
  );
  writeFileSync(
    path.join(folder, 'test', 'unit', 'slow.test.ts'),
    `import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
test('is quick', () => undefined);
test.skip('is skipped', () => undefined);
test('fails', () => expect(1).toBe(2));
test('waits for the given time', async () => {
  const lab = spawn('sleep', ['600'], { stdio: 'ignore' });
  lab.unref();
  writeFileSync(${JSON.stringify(path.join(folder, 'lab.pid'))}, String(lab.pid));
  await new Promise((resolve) => setTimeout(resolve, Number(process.env['TAKES_MS'])));
}, 600_000);
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RUNNING = /running: .*waits for the given time/;

/** Runs npm test on the folder. Calls `interrupt` with its PID when the output shows that the long test runs. */
function npmTest(
  takesMs: number,
  interrupt?: (pid: number) => void,
  args: readonly string[] = [],
): Promise<{ code: number | null; text: string }> {
  const started = spawnScript('unit', args, takesMs);
  let isInterrupted = false;
  for (const stream of [started.process.stdout, started.process.stderr])
    stream.on('data', () => {
      if (isInterrupted || !RUNNING.test(started.text)) return;
      isInterrupted = true;
      interrupt?.(started.process.pid!);
    });
  return new Promise((resolve) =>
    started.process.on('close', (code) => resolve({ code, text: started.text })),
  );
}

/** Starts scripts/test.mjs on the folder and collects its output. */
function spawnScript(which: 'unit' | 'watch', args: readonly string[], takesMs = 0) {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(VITEST|TEST$|NODE_ENV|CI$|npm_|CALI_)/.test(name),
  );
  const env = {
    ...Object.fromEntries(own),
    TAKES_MS: String(takesMs),
    CALI_TEST_HEARTBEAT_MS: '300',
    NO_COLOR: '1',
  };
  // Its own process group, as in a terminal: Ctrl-C signals the whole group.
  const child = spawn(process.execPath, ['scripts/enter.cjs', 'test', which, '--root', folder, ...args], {
    cwd: root,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const started = { process: child, text: '' };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      started.text += chunk;
    });
  return started;
}

test('npm test names the running test, and ends with the counts', async () => {
  const { code, text } = await npmTest(2_000);
  expect(text).toMatch(
    /^… \d+ s, 1 passed, 1 failed so far; running: .*slow\.test\.ts: waits for the given time/m,
  );
  expect(text.trimEnd().split('\n').at(-1)).toBe('2 passed, 1 failed, 1 skipped');
  expect(code).toBe(1);
});

test('npm test ends on Ctrl-C with the counts so far, status 130 and no stack trace', async () => {
  const { code, text } = await npmTest(600_000, (pid) => process.kill(-pid, 'SIGINT'));
  expect(text).toMatch(/\nstopped by SIGINT: not all tests ran\n1 passed, 1 failed, 1 skipped\n$/);
  expect(text).not.toMatch(/^ +at .*(test|setup)\.mjs/m);
  expect(code).toBe(130);
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  'npm test leaves no process behind when only it receives %s',
  async (signal) => {
    const { code, text } = await npmTest(600_000, (pid) => process.kill(pid, signal));
    expect(text).toContain(`\nstopped by ${signal}: not all tests ran\n`);
    expect(code).toBe(130);
    const lab = readFileSync(path.join(folder, 'lab.pid'), 'utf8');
    await vi.waitUntil(() => !isAlive(lab), { timeout: 60_000 });
  },
);

test('npm run test:unit runs one test by its name', async () => {
  const { code, text } = await npmTest(0, undefined, ['-t', 'is quick']);
  expect(text.trimEnd().split('\n').at(-1)).toBe('1 passed, 0 failed, 3 skipped');
  expect(code).toBe(0);
});

test('npm run test:watch runs the tests again when a file changes, and ends on Ctrl-C', async () => {
  const file = path.join(folder, 'test', 'unit', 'watched.test.ts');
  const source = (title: string) => `import { test } from 'vitest';\ntest('${title}', () => undefined);\n`;
  writeFileSync(file, source('is first'));
  const child = spawnScript('watch', ['watched', '--reporter=verbose']);
  const ended = new Promise((resolve) => child.process.on('close', resolve));
  try {
    await vi.waitUntil(() => /is first.*Waiting for file changes/s.test(child.text), { timeout: 60_000 });
    writeFileSync(file, source('is second'));
    await vi.waitUntil(() => child.text.includes('is second'), { timeout: 60_000 });
  } finally {
    process.kill(-child.process.pid!, 'SIGINT');
    await ended;
    rmSync(file);
  }
});

function isAlive(pid: string): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
