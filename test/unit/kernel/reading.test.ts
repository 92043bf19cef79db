import { describe, expect, it } from 'vitest';
import { parseErrors } from '../../../kernel/ip-batch.ts';
import { eventOf } from '../../../kernel/monitor.ts';
import { parseRoute } from '../../../kernel/state.ts';
import { kernelRoute as kernel } from '../../helpers/kernel-route.ts';

const gateway = kernel('0.0.0.0/0', { via: '10.0.0.254', protocol: 3 });

describe('reading the kernel', () => {
  it('parses rows of ip -j', () => {
    expect(parseRoute({ dst: '10.0.0.1', dev: 'cali0', protocol: '161' }, 4)).toEqual(
      kernel('10.0.0.1/32', { protocol: 161, dev: 'cali0' }),
    );
    expect(parseRoute({ dst: 'default', gateway: '10.0.0.254', dev: 'eth0', protocol: '3' }, 4)).toEqual(
      gateway,
    );
    expect(
      parseRoute({ dst: 'fd02::/122', type: '6', dev: 'lo', protocol: '161', metric: 1024 }, 6),
    ).toMatchObject({ type: 'blackhole', hops: [] });
    expect(
      parseRoute(
        {
          dst: '10.2.0.0/26',
          protocol: '162',
          nexthops: [
            { gateway: '10.0.0.2', dev: 'eth0' },
            { via: { host: 'fe80::1' }, dev: 'eth0' },
          ],
        },
        4,
      ).hops,
    ).toEqual([
      { gateway: '10.0.0.2', device: 'eth0' },
      { gateway: 'fe80::1', device: 'eth0' },
    ]);
  });

  it('matches errors of ip -batch to commands by line', () => {
    const stderr =
      'RTNETLINK answers: File exists\nCommand failed -:2\nCannot find device "cali7"\nCommand failed -:3\n';
    expect(parseErrors(stderr, ['a', 'b', 'c'])).toEqual([
      { command: 'b', message: 'File exists' },
      { command: 'c', message: 'Cannot find device "cali7"' },
    ]);
  });

  it.each<[string, boolean]>([
    ['10.244.1.0/26 via 172.18.0.2 dev eth0 proto 162', true],
    ['Deleted 10.244.0.5 dev cali1 proto 161 scope link', true],
    ['12: cali1@if2: <BROADCAST,UP> mtu 1500', true],
    ['172.18.0.1 dev eth0 lladdr 02:00:00:00:00:01 REACHABLE', false],
    ['fe80::1 dev cali1 lladdr 02:00:00:00:00:01 STALE', false],
    ['10.244.0.5 dev cali12d4a061371 FAILED', true],
    ['10.244.0.5 dev california0 FAILED', false],
    ['overrun', true],
  ])('treats the event "%s" as relevant: %s', (line, expected) => {
    expect(eventOf(line).isRelevant).toBe(expected);
  });

  it.each<[string, boolean]>([
    ['2: eth0    inet 172.18.0.11/24 scope global eth0', true],
    ['Deleted 2: eth0    inet6 fd00:172:18::11/64 scope global', true],
    ['12: cali1    inet6 fe80::ecee:eeff:feee:eeee/64 scope link', false],
    ['10.244.1.0/26 via inet6 fe80::1 dev eth0 proto 162', false],
  ])('treats the event "%s" as about a relevant address: %s', (line, expected) => {
    expect(eventOf(line).isAddress).toBe(expected);
  });

  it('finds the interface of a link event', () => {
    expect(eventOf('12: cali12d4a061371@if2: <BROADCAST> mtu 1500').link).toBe('cali12d4a061371');
    expect(eventOf('Deleted 3: eth1: <BROADCAST>').link).toBe('eth1');
    expect(eventOf('10.0.0.0/24 dev eth0').link).toBeUndefined();
  });
});
