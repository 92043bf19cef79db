import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { applySysctls } from '../../../kernel/sysctls.ts';
import { feed, run, start } from '../../../lib/exec.ts';

/** Exits with 0 on SIGTERM, so its exit status does not show that it was terminated. */
const polite = 'trap "exit 0" TERM; while :; do sleep 0.05; done';

describe('a command', () => {
  it('that its time limit ends is a timeout, even when it exits with 0', async () => {
    const result = await run('sh', ['-c', polite], { timeoutMs: 300 });
    expect(result).toMatchObject({ outcome: 'timeout', ok: false, code: undefined });
    expect(result.stderr).toBe('sh did not finish within 0.3 s');
    const fed = await feed('sh', ['-c', polite], [], 300);
    expect(fed).toMatchObject({ outcome: 'timeout', ok: false, code: undefined });
  });

  it('that is not installed is reported as missing, and not as a timeout', async () => {
    for (const result of [await run('cali-no-such', []), await feed('cali-no-such', [], [], 5000)])
      expect(result).toMatchObject({ outcome: 'missing', ok: false, code: undefined });
  });

  it('that a signal ends has no exit status', async () => {
    for (const result of [
      await run('sh', ['-c', 'kill -9 $$']),
      await feed('sh', ['-c', 'kill -9 $$'], [], 5000),
    ])
      expect(result).toMatchObject({ outcome: 'killed', ok: false, code: undefined });
  });

  it('gets its lines as written, and its exit status is returned', async () => {
    const script = 'cat; echo fault >&2; exit 3';
    const wanted = { outcome: 'exited', ok: false, code: 3, stderr: 'fault' };
    const fed = await feed('sh', ['-c', script], ['a', 'b c'], 5000);
    expect(fed).toMatchObject({ ...wanted, stdout: 'a\nb c\n' });
    expect(await run('sh', ['-c', script], { lines: ['a', 'b c'] })).toMatchObject(wanted);
  });

  it('is not started with a line break in an argument or an input line', async () => {
    const file = path.join(await mkdtemp(path.join(os.tmpdir(), 'cali-exec-')), 'ran');
    const args = ['-c', `echo x > ${file}`, 'sh'];
    const refused = { outcome: 'refused', ok: false, stderr: expect.stringContaining('U+000A') };
    expect(await run('sh', [...args, 'a\nb'])).toMatchObject(refused);
    expect(await run('sh', args, { lines: ['a\nb'] })).toMatchObject(refused);
    expect(await feed('sh', [...args, 'a\nb'], [], 5000)).toMatchObject(refused);
    expect(await feed('sh', args, ['a', 'b\nc'], 5000)).toMatchObject(refused);
    expect(() => start('sh', [...args, 'a\nb'])).toThrow('U+000A');
    await expect(readFile(file)).rejects.toThrow('ENOENT');
  });

  it('that is long-lived gets no lines at all when one of them is refused', async () => {
    const child = start('cat', [], { stdin: 'pipe' });
    expect(() => child.write(['a', 'b\nc'])).toThrow('U+000A');
    child.end(['d']);
    let text = '';
    for await (const chunk of child.stdout!) text += String(chunk);
    expect(text).toBe('d\n');
  });
});

describe('a command that the kernel cannot start', () => {
  /** An argument above the kernel's limit: spawn throws E2BIG, as it throws ENOMEM. */
  const huge = ['-c', 'true', 'x'.repeat(4_000_000)];

  it('has empty output, and exits with the reason', async () => {
    const child = start('sh', huge, { stdin: 'pipe' });
    child.write(['a']);
    child.end(['b']);
    let text = '';
    for (const stream of [child.stdout!, child.stderr!])
      for await (const chunk of stream) text += String(chunk);
    expect(text).toBe('');
    expect(child.kill()).toBe(false);
    expect(await child.exited).toMatchObject({ code: undefined, isMissing: false, reason: 'spawn E2BIG' });
    expect(start('sh', huge, { stdout: 'ignore' }).stdout).toBeNull();
  });

  it('returns a failed result to its caller', async () => {
    const result = await feed('sh', huge, ['a'], 5000);
    expect(result).toMatchObject({ ok: false, code: undefined, stdout: '' });
    expect(result.stderr).toContain('did not run to completion: spawn E2BIG');
  });

  it('does not end the program when no file descriptors are left for its pipes', async () => {
    const bundle = await build({
      stdin: {
        contents: `
          import { closeSync, openSync } from 'node:fs';
          import { start } from './lib/exec.ts';
          start('true', []);
          const files = [];
          try { for (;;) files.push(openSync('/dev/null')); } catch {}
          const child = start('sh', ['-c', 'true'], { stdin: 'pipe' });
          child.write(['a']);
          void (async () => {
            for await (const _ of child.stdout);
            for await (const _ of child.stderr);
            const { reason } = await child.exited;
            files.forEach(closeSync);
            console.log(reason);
          })();`,
        resolveDir: path.resolve(import.meta.dirname, '../../..'),
        loader: 'ts',
      },
      bundle: true,
      platform: 'node',
      format: 'cjs',
      write: false,
    });
    const file = path.join(await mkdtemp(path.join(os.tmpdir(), 'cali-exec-')), 'few-files.cjs');
    await writeFile(file, bundle.outputFiles[0]!.text);
    const result = await run('sh', ['-c', 'ulimit -n 64; exec "$0" "$1"', process.execPath, file]);
    expect(result).toMatchObject({ ok: true, stdout: expect.stringContaining('EMFILE') });
  });
});

describe('a sysctl', () => {
  it('that another program resets is set less often, and reported', () => {
    const forwarding = { path: 'net/ipv4/ip_forward', value: '2' };
    expect(applySysctls([forwarding], () => false)).toEqual([
      expect.stringMatching(
        /ip_forward is [01], not 2: another program resets it, so Cali sets it less often$/,
      ),
    ]);
  });

  it.each([
    'net/ipv4/conf/../../kernel/hostname',
    'net/ipv4/conf/a\nb/forwarding',
    '/etc/passwd',
    'net//x',
    'net/./x',
    '',
  ])('is not written at path %j', (name) => {
    const [problem] = applySysctls([{ path: name, value: '1', isOptional: true }]);
    expect(problem).toContain('refused');
  });
});
