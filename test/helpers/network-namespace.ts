/** A network namespace for a test, which programs and netlink sockets can use by its name or file. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

export class NetworkNamespace {
  readonly name = `cali-test-${randomBytes(4).toString('hex')}`;
  readonly path = `/run/netns/${this.name}`;

  constructor() {
    execFileSync('ip', ['netns', 'add', this.name]);
    this.ip('link set dev lo up');
  }

  /** Runs `ip` inside and returns what it prints. Throws when it fails. */
  ip(args: string): string {
    return execFileSync('ip', ['-n', this.name, ...args.split(' ')], { encoding: 'utf8', stdio: 'pipe' });
  }

  /** Runs lines of `ip -batch` inside; failed lines do not stop the others. */
  batch(lines: readonly string[]): void {
    execFileSync('ip', ['-n', this.name, '-force', '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** Gives links that are created from now on no IPv6 link-local address. */
  withoutLinkLocal(): void {
    const file = '/proc/sys/net/ipv6/conf/default/addr_gen_mode';
    execFileSync('ip', ['netns', 'exec', this.name, 'sh', '-c', `echo 1 >${file}`]);
  }

  remove(): void {
    execFileSync('ip', ['netns', 'del', this.name]);
  }
}
