/** Logs of bundled programs show positions in the sources. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(path.join(os.tmpdir(), 'cali-stack-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('an error in the log of a bundle has the file and line of its source', async () => {
  const log = path.resolve(import.meta.dirname, '../../../lib/log.ts');
  writeFileSync(
    path.join(folder, 'program.ts'),
    `import { createLog } from ${JSON.stringify(log)};
interface Unused { readonly field: string }

function fail(): never { throw new Error('planted'); }
try { fail(); } catch (error) { createLog('info', {}).error({ err: error }, 'failed'); }
`,
  );
  await build({
    absWorkingDir: folder,
    entryPoints: ['program.ts'],
    outfile: path.join(folder, 'program.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    sourcemap: 'linked',
    sourcesContent: false,
    minifyWhitespace: true,
    banner: {
      js: "import { createRequire as __cr } from 'node:module';const require = __cr(import.meta.url);",
    },
    logLevel: 'error',
  });
  const line = execFileSync(process.execPath, [path.join(folder, 'program.mjs')], { encoding: 'utf8' });
  const { err } = JSON.parse(line) as { err: { message: string; stack: string } };
  expect(err.message).toBe('planted');
  expect(err.stack.split('\n').slice(0, 2)).toEqual([
    'Error: planted',
    expect.stringMatching(/^at fail \(program\.ts:4:\d+\)$/),
  ]);
});
