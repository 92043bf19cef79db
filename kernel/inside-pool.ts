/**
 * Runs `ip -batch` inside a pod's network namespace. One process is started in advance, so that an ADD does not wait
 * for it. The process reads a line with the namespace's path, enters the namespace, and executes `ip -batch` on the
 * rest.
 */

import { type Child, start } from '../lib/exec.ts';
import { assertPlain } from '../lib/plain-text.ts';
import { SYSCTL_ROOT } from './sysctls.ts';

/** Pods do not forward packets, and IPv6 is enabled. `$1` is the root of the sysctls. */
const INSIDE = [
  'echo 0 >"$1/net/ipv4/ip_forward"',
  'if [ -d "$1/net/ipv6" ]; then echo 0 >"$1/net/ipv6/conf/all/disable_ipv6"',
  'echo 0 >"$1/net/ipv6/conf/all/forwarding"',
  'fi',
  'exec ip -batch -',
].join('; ');
const SCRIPT = `read -r netns || exit 0; exec nsenter --net="$netns" sh -c '${INSIDE}' sh "$1"`;

/** A process in a pod's namespace. */
export type PodProcess = Child;

export class InsidePool {
  #spare: Child | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor() {
    this.#prepare();
  }

  /**
   * Returns a process in the namespace. It reads `ip` commands from standard input and exits at the end of input.
   * Throws CodedError CONTROL_CHARACTER.
   */
  enter(netns: string): PodProcess {
    assertPlain(netns, 'path of a network namespace');
    const child = this.#spare ?? startOne();
    this.#spare = undefined;
    // Start the next one after this ADD.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#isClosed && !this.#spare) this.#prepare();
    }, 20);
    child.write([netns]);
    return child;
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

function startOne(): Child {
  return start('sh', ['-c', SCRIPT, 'sh', SYSCTL_ROOT], { stdin: 'pipe', stdout: 'ignore' });
}
