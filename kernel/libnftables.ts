/**
 * libnftables in this process: what the program nft does, without a process. The library works on a thread of libuv's
 * pool, because a large table takes it a quarter of a second.
 *
 * A fault in the library ends the agent, and some versions fail on what newer ones wrote: nft.ts decides when it is safe.
 */
import { closeSync, writeSync } from 'node:fs';
import { messageOf } from '../lib/errors.ts';
import { type CommandResult, refusalOf } from '../lib/exec.ts';
import { type Library, type LibraryFunction, libc, loadLibrary } from '../lib/libc.ts';
import { inNamespace } from './netlink/namespace.ts';
import type { Nft } from './port.ts';

const TIMEOUT_MS = 10_000;
/** nftables/libnftables.h: omits counters and the like, as `nft -s` does. */
const NFT_CTX_OUTPUT_STATELESS = 1 << 2;
const MFD_CLOEXEC = 1;

export interface LibnftablesOptions {
  /** File of the network namespace; default: this thread's. */
  readonly netns?: string | undefined;
  readonly timeoutMs?: number | undefined;
}

/** A call's end: the library's return code, 0 for success, and its texts. */
interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Calls {
  readonly create: (flags: number) => unknown;
  readonly bufferOutput: (context: unknown) => unknown;
  readonly bufferError: (context: unknown) => unknown;
  readonly setOutputFlags: (context: unknown, flags: number) => unknown;
  readonly setDryRun: (context: unknown, isDryRun: boolean) => unknown;
  readonly output: (context: unknown) => unknown;
  readonly error: (context: unknown) => unknown;
  readonly free: (context: unknown) => Promise<unknown>;
  readonly runFile: (context: unknown, path: string) => Promise<unknown>;
  readonly createFile: (name: string, flags: number) => unknown;
}

/**
 * Opens the library for a network namespace; undefined when it is missing. Its context reads the kernel's tables again
 * when another program changed them. The caller must know that a netlink socket can be opened: without one, the library
 * calls exit(3).
 */
export function openLibnftables(options: LibnftablesOptions = {}): Libnftables | undefined {
  const calls = loadCalls();
  if (!calls) return undefined;
  const create = () => calls.create(0);
  const context = options.netns === undefined ? create() : inNamespace<unknown>(options.netns, create);
  if (!context) return undefined;
  calls.bufferOutput(context);
  calls.bufferError(context);
  calls.setOutputFlags(context, NFT_CTX_OUTPUT_STATELESS);
  return new Libnftables(calls, context, options.timeoutMs ?? TIMEOUT_MS);
}

export class Libnftables implements Nft {
  readonly #calls: Calls;
  readonly #context: unknown;
  readonly #timeoutMs: number;
  /** Ends with the last call: the context serves one at a time. Never rejects. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(calls: Calls, context: unknown, timeoutMs: number) {
    this.#calls = calls;
    this.#context = context;
    this.#timeoutMs = timeoutMs;
  }

  load(lines: readonly string[]): Promise<CommandResult> {
    return this.#run(lines, false);
  }

  async check(lines: readonly string[]): Promise<boolean> {
    const { ok } = await this.#run(lines, true);
    return ok;
  }

  async list(table: string): Promise<string | undefined> {
    const { outcome, stdout } = await this.#run([`list table ${table}`], false);
    return outcome === 'exited' ? stdout : undefined;
  }

  async generation(): Promise<undefined> {}

  /**
   * Releases the context after the last call. Takes milliseconds on its thread, because the kernel waits until no packet
   * uses removed rules.
   */
  async close(): Promise<void> {
    await this.#last;
    await this.#calls.free(this.#context);
  }

  /** A call cannot be ended. When the time is over, it continues, and later calls wait for it within their own time. */
  async #run(lines: readonly string[], isDryRun: boolean): Promise<CommandResult> {
    const refused = refusalOf('nft', [], lines);
    if (refused) return refused;
    let isOver = false;
    const work = this.#last.then(() => (isOver ? undefined : this.#call(lines, isDryRun)));
    this.#last = work.catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, this.#timeoutMs, undefined);
    });
    try {
      const ended = await Promise.race([work, timeout]);
      return ended
        ? resultOf(ended)
        : failed('timeout', `nftables did not finish within ${this.#timeoutMs / 1000} s`);
    } catch (error) {
      return failed('killed', `libnftables did not run: ${messageOf(error)}`);
    } finally {
      isOver = true;
      clearTimeout(timer);
    }
  }

  /** The library reads a file in memory: with a text, its errors would quote the first line, whichever was refused. */
  async #call(lines: readonly string[], isDryRun: boolean): Promise<Ended> {
    const { createFile, setDryRun, runFile, output, error } = this.#calls;
    const file = Number(createFile('nft', MFD_CLOEXEC));
    if (file < 0) throw new Error('memfd_create failed');
    try {
      const text = Buffer.from(`${lines.join('\n')}\n`);
      for (let at = 0; at < text.length; ) at += writeSync(file, text, at);
      setDryRun(this.#context, isDryRun);
      const path = `/proc/self/fd/${file}`;
      const code = Number(await runFile(this.#context, path));
      return {
        code,
        stdout: String(output(this.#context) ?? ''),
        stderr: String(error(this.#context) ?? '').replaceAll(path, '/dev/stdin'),
      };
    } finally {
      closeSync(file);
    }
  }
}

/** Returns what `nft -f -` would: the same texts, and 1 for a refusal. */
function resultOf({ code, stdout, stderr }: Ended): CommandResult {
  return {
    outcome: 'exited',
    ok: code === 0,
    code: code === 0 ? 0 : 1,
    stdout: stdout.replace(/\n$/, ''),
    stderr: stderr.trimEnd(),
  };
}

function failed(outcome: 'timeout' | 'killed', stderr: string): CommandResult {
  return { outcome, ok: false, code: undefined, stdout: '', stderr };
}

function loadCalls(): Calls | undefined {
  const library = loadLibrary('libnftables.so.1');
  const createFile = libc()?.func('int memfd_create(const char *, unsigned int)');
  return library && createFile && { ...callsOf(library), createFile };
}

function callsOf(library: Library): Omit<Calls, 'createFile'> {
  return {
    create: library.func('void *nft_ctx_new(uint32_t)'),
    bufferOutput: library.func('int nft_ctx_buffer_output(void *)'),
    bufferError: library.func('int nft_ctx_buffer_error(void *)'),
    setOutputFlags: library.func('void nft_ctx_output_set_flags(void *, uint32_t)'),
    setDryRun: library.func('void nft_ctx_set_dry_run(void *, bool)'),
    output: library.func('const char *nft_ctx_get_output_buffer(void *)'),
    error: library.func('const char *nft_ctx_get_error_buffer(void *)'),
    free: onThread(library.func('void nft_ctx_free(void *)')),
    runFile: onThread(library.func('int nft_run_cmd_from_filename(void *, const char *)')),
  };
}

function onThread(call: LibraryFunction): (...args: unknown[]) => Promise<unknown> {
  return (...args) =>
    new Promise((resolve, reject) =>
      call.async(...args, (error: unknown, result: unknown) => (error ? reject(error) : resolve(result))),
    );
}
