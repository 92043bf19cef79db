/** Connections of an address that moved away: the kernel must not send their packets the old way. */
import { feed } from '../../lib/exec.ts';
import type { Log } from '../../lib/log.ts';

/** Removes tracked connections from and to the addresses. Needs Debian's conntrack; without it, says so once. */
export class Conntrack {
  readonly #log: Log;
  #isMissing = false;

  constructor(log: Log) {
    this.#log = log;
  }

  async flush(addresses: readonly string[]): Promise<void> {
    for (const address of addresses) {
      if (this.#isMissing) return;
      const family = address.includes(':') ? 'ipv6' : 'ipv4';
      for (const direction of ['--orig-src', '--orig-dst', '--reply-src', '--reply-dst']) {
        const result = await feed('conntrack', ['-D', '-f', family, direction, address], '', 10_000);
        // Exit 1 is "nothing matched"; no exit code is "no such program".
        if (result.code === undefined) {
          this.#isMissing = true;
          this.#log.warn(
            {},
            'conntrack is not installed: connections of moved addresses end by timeout only',
          );
          return;
        }
      }
    }
  }
}
