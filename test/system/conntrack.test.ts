/** Flushing tracked connections against the real kernel. `conntrack` makes the connections and lists them. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Conntrack, type ConntrackModules } from '../../kernel/conntrack.ts';
import { NETLINK_NETFILTER } from '../../kernel/netlink/socket.ts';
import { Sockets } from '../../kernel/netlink/sockets.ts';
import { silentLog } from '../../lib/log.ts';
import { hasProgram, until } from '../helpers/lab.ts';
import { NetworkNamespace } from '../helpers/network-namespace.ts';

describe.skipIf(!hasProgram('conntrack'))('tracked connections', () => {
  let netns: NetworkNamespace;
  let conntrack: Conntrack;
  const open = (modules: Partial<ConntrackModules> = {}) =>
    new Conntrack({
      log: silentLog,
      sockets: new Sockets(NETLINK_NETFILTER, netns.path),
      tracked: () => undefined,
      ...modules,
    });
  beforeEach(() => {
    netns = new NetworkNamespace();
    conntrack = open();
  });
  afterEach(() => {
    conntrack.close();
    netns.remove();
  });

  const run = (...args: string[]) =>
    execFileSync('ip', ['netns', 'exec', netns.name, 'conntrack', ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
  /** Adds a UDP connection whose answers go to `answeredTo`. */
  const add = (source: string, destination: string, answeredTo = source) =>
    run(
      ...['-I', '-p', 'udp', '-t', '600', '--sport', '1', '--dport', '2', '-s', source, '-d', destination],
      ...['-r', destination, '-q', answeredTo, '--reply-port-src', '2', '--reply-port-dst', '1'],
    );
  /** Sources of the connections of a family. */
  const sources = (family: string) =>
    [...run('-L', '-f', family).matchAll(/^udp.*?src=(\S+)/gm)].map(([, source = '']) => source).sort();

  it('Connections from, to and through a moved address are flushed, and no others.', async () => {
    add('10.1.0.5', '10.2.0.1');
    add('10.2.0.2', '10.1.0.5');
    add('10.2.0.3', '10.96.0.1', '10.1.0.5');
    add('10.1.0.6', '10.2.0.1');
    add('fd00::5', 'fd00::1');
    add('fd00::6', 'fd00::1');
    conntrack.flush(['10.1.0.5', 'fd00::5', '10.1.0.99']);
    await until('the connections are flushed', 5000, () => sources('ipv4').length === 1);
    await until('the connections are flushed', 5000, () => sources('ipv6').length === 1);
    expect(sources('ipv4')).toEqual(['10.1.0.6']);
    expect(sources('ipv6')).toEqual(['fd00::6']);
  });

  it('A table full of one pod’s connections is flushed, and the others stay.', async () => {
    const lines = Array.from(
      { length: 3000 },
      (_, i) => `-A -t 600 -s 10.1.0.5 -d 10.2.0.1 -p udp --sport ${1000 + i} --dport 53`,
    );
    // conntrack opens /dev/stdin, which must not be a socket.
    const load = 'cat | conntrack --load-file -';
    execFileSync('ip', ['netns', 'exec', netns.name, 'sh', '-c', load], {
      input: `${lines.join('\n')}\n`,
      stdio: 'pipe',
    });
    add('10.1.0.6', '10.2.0.1');
    expect(sources('ipv4')).toHaveLength(3001);
    conntrack.flush(['10.1.0.5']);
    await until('the connections are flushed', 5000, () => sources('ipv4').length === 1);
    expect(sources('ipv4')).toEqual(['10.1.0.6']);
  });

  it('Only connections that were masqueraded to a link-local address are flushed as such.', async () => {
    add('fd00::5', 'fd00::1', 'fe80::1');
    add('fd00::6', 'fd00::1', 'fd00::7');
    await conntrack.flushLinkLocal();
    expect(sources('ipv6')).toEqual(['fd00::6']);
  });

  it('Nothing is asked of the kernel while it tracks nothing, and a failure is a warning, once.', async () => {
    const warnings: unknown[] = [];
    const log = { ...silentLog, warn: (fields: unknown) => void warnings.push(fields) };
    const nowhere = new Sockets(NETLINK_NETFILTER, '/run/netns/cali-test-absent');
    await open({ sockets: nowhere, tracked: () => 0, log }).flushLinkLocal();
    expect(warnings).toEqual([]);
    const broken = open({ sockets: nowhere, log });
    await broken.flushLinkLocal();
    await broken.flushLinkLocal();
    expect(warnings).toEqual([{ reason: expect.stringContaining('cannot be opened') }]);
  });
});
