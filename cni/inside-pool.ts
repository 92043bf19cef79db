/**
 * `ip -batch` inside a pod's network namespace. One process waits in advance, so that an ADD does not pay for
 * its start: it reads a line with the namespace's path, enters it, and becomes `ip -batch` on what follows.
 */
import { SYSCTL_ROOT } from '../felix/dataplane/sysctls.ts';
import { type Child, start } from '../lib/exec.ts';
import { assertPlain } from '../lib/plain-text.ts';

/** Pods do not forward, and have IPv6 when they get an IPv6 address. `$1` is where kernel switches are. */
const INSIDE = [
  'echo 0 >"$1/net/ipv4/ip_forward"',
  'if [ -d "$1/net/ipv6" ]; then echo 0 >"$1/net/ipv6/conf/all/disable_ipv6"',
  'echo 0 >"$1/net/ipv6/conf/all/forwarding"',
  'fi',
  'exec ip -batch -',
].join('; ');
const SCRIPT = `read -r netns || exit 0; exec nsenter --net="$netns" sh -c '${INSIDE}' sh "$1"`;

export class InsidePool {
  #spare: Child | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor() {
    this.#prepare();
  }

  /**
   * A process in the namespace that takes `ip` commands on its standard input and ends with it. Throws CodedError
   * CONTROL_CHARACTER.
   */
  enter(netns: string): Child {
    assertPlain(netns, 'path of a network namespace');
    const child = this.#spare ?? startOne();
    this.#spare = undefined;
    // The next one when this ADD is over.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#isClosed && !this.#spare) this.#prepare();
    }, 20);
    child.write([netns]);
    return child;
  }

  /** One that is gone, or could not be started, is not waited for: the next ADD starts its own. */
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
