/**
 * Keeps one `ip -force -batch -` running to speed up CNI ADD: a round trip takes 0.1 ms, a new process 2 ms. Each batch
 * ends with a command that always fails; its error marks the end of the batch's output. The child caches interface
 * names, so commands name interfaces by index (`dev if123`).
 */
import { createInterface } from 'node:readline';
import { type Child, siftLines, start } from '../lib/exec.ts';
import { Mutex } from '../lib/mutex.ts';
import { type BatchError, parseErrors, refusedCommand } from './ip-batch.ts';

/** Fails at once ("FIB table does not exist"), and loads no kernel module. */
const SENTINEL = 'route del 255.255.255.254/32 table 2147483646';
const TIMEOUT_MS = 10_000;

export class IpSession {
  #child: Child | undefined;
  #line = 0;
  #waiting:
    | { readonly until: number; readonly lines: string[]; done(stderr: string | undefined): void }
    | undefined;
  readonly #mutex = new Mutex();

  /** Runs commands in order and returns the failed ones. Throws when the child dies; the next call starts a new one. */
  run(commands: readonly string[]): Promise<BatchError[]> {
    return this.#mutex.run(() => this.#run(commands));
  }

  close(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }

  async #run(all: readonly string[]): Promise<BatchError[]> {
    const { plain: commands, refused } = siftLines(all);
    const errors = refused.map(refusedCommand);
    if (commands.length === 0) return errors;
    const child = this.#child ?? this.#start();
    const first = this.#line + 1;
    const until = this.#line + commands.length + 1;
    this.#line = until;
    const stderr = await new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => this.close(), TIMEOUT_MS);
      const done = (text: string | undefined) => {
        clearTimeout(timer);
        this.#waiting = undefined;
        resolve(text);
      };
      this.#waiting = { until, lines: [], done };
      child.write([...commands, SENTINEL]);
    });
    if (stderr === undefined) throw new Error(`ip -batch exited during: ${commands.join('; ')}`);
    // The child counts lines from its start.
    const relative = stderr.replace(
      /^(Command failed -:)(\d+)$/gm,
      (_, head: string, line: string) => `${head}${Number(line) - first + 1}`,
    );
    const failed = parseErrors(relative, [...commands, SENTINEL]);
    return [...errors, ...failed.filter(({ command }) => command !== SENTINEL)];
  }

  #start(): Child {
    const child = start('ip', ['-force', '-batch', '-'], { stdin: 'pipe', stdout: 'ignore' });
    this.#child = child;
    this.#line = 0;
    createInterface({ input: child.stderr! }).on('line', (line) => {
      const waiting = this.#waiting;
      if (!waiting) return;
      waiting.lines.push(line);
      if (line === `Command failed -:${waiting.until}`) waiting.done(waiting.lines.join('\n'));
    });
    void child.exited.then(() => {
      if (this.#child === child) this.#child = undefined;
      this.#waiting?.done(undefined);
    });
    return child;
  }
}
