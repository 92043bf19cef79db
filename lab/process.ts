/** A child process of the lab that can be stopped, killed and restarted, with its log in a file. */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

export class LabProcess {
  readonly #command: readonly string[];
  readonly #environment: Readonly<Record<string, string>>;
  readonly #logFile: string;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(command: readonly string[], environment: Readonly<Record<string, string>>, logFile: string) {
    this.#command = command;
    this.#environment = environment;
    this.#logFile = logFile;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  start(): void {
    if (this.#child) return;
    const log = openSync(this.#logFile, 'a');
    const [file, ...args] = this.#command;
    const child = spawn(file!, args, {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...this.#environment },
    });
    closeSync(log);
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('exit', () => {
        this.#child = undefined;
        resolve();
      });
      child.once('error', () => {
        this.#child = undefined;
        resolve();
      });
    });
  }

  /** Sends a signal that does not end the process. Returns false if no process runs. */
  signal(signal: NodeJS.Signals): boolean {
    return this.#child?.kill(signal) ?? false;
  }

  /** Sends a signal and resolves when the process has ended. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.#child?.kill(signal);
    await this.#ended;
  }
}
