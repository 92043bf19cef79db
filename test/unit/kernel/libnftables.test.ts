import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Libnftables } from '../../../kernel/libnftables.ts';

function deferred() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Returns the descriptor of a file without a name. */
function openUnnamed(): number {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cali-test-'));
  const file = openSync(path.join(folder, 'nft'), 'w+');
  rmSync(folder, { recursive: true });
  return file;
}

/** A library that ends each call when the test says so. */
class Library {
  /** The texts that were run. */
  readonly texts: string[] = [];
  readonly ends: ((code: number) => void)[] = [];
  error = '';
  path = '';
  isDryRun = false;
  /** Resolves when the next call starts. */
  started = deferred();

  open(timeoutMs = 60_000): Libnftables {
    const calls = {
      create: () => 'context',
      bufferOutput: () => 0,
      bufferError: () => 0,
      setOutputFlags: () => undefined,
      setDryRun: (_: unknown, isDryRun: boolean) => {
        this.isDryRun = isDryRun;
      },
      output: () => 'table inet t {\n}\n',
      error: () => this.error,
      free: async () => undefined,
      runFile: (_: unknown, file: string) => {
        this.path = file;
        this.texts.push(readFileSync(file, 'utf8'));
        this.started.resolve();
        this.started = deferred();
        return new Promise<number>((resolve) => this.ends.push(resolve));
      },
      createFile: openUnnamed,
    };
    return new Libnftables(calls, 'context', timeoutMs);
  }
}

describe('a call of libnftables', () => {
  it('The next call starts when the last has ended.', async () => {
    const library = new Library();
    const nft = library.open();
    const first = nft.load(['one', 'two']);
    const second = nft.check(['three']);
    await library.started.promise;
    expect(library.texts).toEqual(['one\ntwo\n']);
    expect(library.isDryRun).toBe(false);
    const { started } = library;
    library.ends[0]?.(0);
    expect(await first).toEqual({
      outcome: 'exited',
      ok: true,
      code: 0,
      stdout: 'table inet t {\n}',
      stderr: '',
    });
    await started.promise;
    expect(library.texts).toEqual(['one\ntwo\n', 'three\n']);
    expect(library.isDryRun).toBe(true);
    library.ends[1]?.(-1);
    expect(await second).toBe(false);
  });

  it('A call that takes too long is reported, and one that waited for it in vain never starts.', async () => {
    const library = new Library();
    const nft = library.open(5);
    const [first, second] = await Promise.all([nft.load(['one']), nft.load(['two'])]);
    expect(first).toMatchObject({
      outcome: 'timeout',
      ok: false,
      stderr: 'nftables did not finish within 0.005 s',
    });
    expect(second.outcome).toBe('timeout');
    expect(await nft.list('inet t')).toBe(undefined);
    library.ends[0]?.(0);
    await nft.close();
    expect(library.texts).toEqual(['one\n']);
  });

  it('An error has the text of the program, and not the name of the file in memory.', async () => {
    const library = new Library();
    const nft = library.open();
    const load = nft.load(['x']);
    await library.started.promise;
    library.error = `${library.path}:1:1-1: Error: syntax error, unexpected string\nx\n^\n`;
    library.ends[0]?.(-1);
    expect(await load).toEqual({
      outcome: 'exited',
      ok: false,
      code: 1,
      stdout: 'table inet t {\n}',
      stderr: '/dev/stdin:1:1-1: Error: syntax error, unexpected string\nx\n^',
    });
  });

  it('Text with control characters is refused, and the library does not see it.', async () => {
    const library = new Library();
    const nft = library.open();
    expect(await nft.load(['table inet t {}\nflush ruleset'])).toMatchObject({
      outcome: 'refused',
      ok: false,
    });
    expect(await nft.check(['table inet t\u0000'])).toBe(false);
    expect(await nft.list('inet t\u0007')).toBe(undefined);
    expect(library.texts).toEqual([]);
  });
});
