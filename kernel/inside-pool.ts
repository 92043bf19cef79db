/**
 * Runs `ip -batch` inside a pod's network namespace. One process is started in advance, so that an ADD does not wait
 * for it. The process reads a line with the namespace's path, enters the namespace, writes sysctls, and executes
 * `ip -batch` on the rest.
 */
import { type Child, start } from '../lib/exec.ts';
import { assertPlain } from '../lib/plain-text.ts';
import type { Sysctl } from '../model/sysctls.ts';
import { type ChangeError, type KernelChange, renderChange } from './change.ts';
import { changeErrors } from './change-errors.ts';
import { parseErrors } from './ip-batch.ts';
import type { PodNamespace } from './port.ts';
import { SYSCTL_ROOT } from './sysctls.ts';

/** Reads lines `PATH VALUE` up to an empty line, writes the sysctls that exist, and runs `ip`. `$1` is their root. */
const INSIDE = [
  'while read -r path value && [ "$path" ]; do if [ -e "$1/$path" ]; then echo "$value" >"$1/$path"; fi; done',
  'exec ip -force -batch -',
].join('; ');
const SCRIPT = `read -r netns || exit 0; exec nsenter --net="$netns" sh -c '${INSIDE}' sh "$1"`;

export class InsidePool {
  #spare: Child | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor() {
    this.#prepare();
  }

  /** Enters the namespace and writes its sysctls, skipping those that it lacks. Throws CodedError CONTROL_CHARACTER. */
  enter(netns: string, sysctls: readonly Sysctl[]): PodNamespace {
    assertPlain(netns, 'path of a network namespace');
    const child = this.#spare ?? startOne();
    this.#spare = undefined;
    // Start the next one after this ADD.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#isClosed && !this.#spare) this.#prepare();
    }, 20);
    child.write([netns, ...sysctls.map(({ path, value }) => `${path} ${value}`), '']);
    return { apply: (changes) => applyInside(child, changes), leave: () => void child.kill('SIGKILL') };
  }

  /** Starts the spare process. If it fails or exits, the next ADD starts one. */
  #prepare(): void {
    const child = startOne();
    this.#spare = child;
    void child.exited.then(() => {
      if (this.#spare === child) this.#spare = undefined;
    });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#spare?.kill('SIGKILL');
  }
}

/** Gives the process its changes and waits for its end. */
async function applyInside(child: Child, changes: readonly KernelChange[]): Promise<readonly ChangeError[]> {
  const commands = changes.map(renderChange);
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.end(commands);
  const { code, reason } = await child.exited;
  if (code === 0) return [];
  const errors = parseErrors(stderr, commands).filter(({ command }) => commands.includes(command));
  if (errors.length === 0) throw new Error(stderr.trim() || reason || `exit ${code}`);
  return changeErrors(errors, commands, changes);
}

function startOne(): Child {
  return start('sh', ['-c', SCRIPT, 'sh', SYSCTL_ROOT], { stdin: 'pipe', stdout: 'ignore' });
}
