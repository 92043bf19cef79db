import { describe, expect, it } from 'vitest';
import { chooseAddress } from '../../../../agent/identity/autodetect.ts';
import type { LinkAddress } from '../../../../kernel/port.ts';

const addresses: LinkAddress[] = [
  { device: 'lo', isUp: true, mtu: 65536, cidr: '127.0.0.1/8', scope: 'host' },
  { device: 'docker0', isUp: true, mtu: 1500, cidr: '172.17.0.1/16', scope: 'global' },
  { device: 'eth1', isUp: false, mtu: 1500, cidr: '10.9.0.1/24', scope: 'global' },
  { device: 'eth0', isUp: true, mtu: 1500, cidr: '10.0.0.5/20', scope: 'global' },
  { device: 'eth0', isUp: true, mtu: 1500, cidr: 'fe80::1/64', scope: 'link' },
  { device: 'eth0', isUp: true, mtu: 1500, cidr: 'fd00::5/64', scope: 'global' },
];

const surroundings = {
  addresses,
  internalIps: [],
  sourceTowards: async (destination: string) => (destination === 'nowhere' ? undefined : '10.9.0.7'),
  warn: () => undefined,
};

describe('the node’s address', () => {
  it.each<[string, 4 | 6, string | undefined, string | undefined, string | undefined]>([
    ['the first one on an ordinary interface that is up', 4, 'autodetect', undefined, '10.0.0.5/20'],
    ['an IPv6 address that is not link-local', 6, 'autodetect', undefined, 'fd00::5/64'],
    ["the Node's annotation when nothing is set", 4, undefined, '192.0.2.1/24', '192.0.2.1/24'],
    ['none', 4, 'none', '192.0.2.1/24', undefined],
    ['the given address with the given prefix length', 4, '10.0.0.5/24', undefined, '10.0.0.5/24'],
    ['the given address with the prefix length of its interface', 4, '10.0.0.5', undefined, '10.0.0.5/20'],
    ['the given address as a host address when no interface has it', 4, '10.0.0.6', undefined, '10.0.0.6/32'],
  ])('is %s', async (_, family, value, present, expected) => {
    expect(await chooseAddress(family, { value, method: 'first-found' }, present, surroundings)).toBe(
      expected,
    );
  });

  it.each<[string, 4 | 6, string | undefined]>([
    ['kubernetes-internal-ip', 4, '10.9.0.7/24'],
    ['kubernetes-internal-ip', 6, undefined],
    ['interface=ens.*,eth.*', 4, '10.9.0.7/24'],
    ['interface=wlan0', 4, undefined],
    ['interface=docker0', 4, '172.17.0.1/16'],
    ['skip-interface=eth.*', 4, '10.9.0.7/24'],
    ['can-reach=10.9.0.1', 4, '10.9.0.7/24'],
    ['can-reach=nowhere', 4, undefined],
    ['cidr=192.0.2.0/24,10.9.0.0/16', 4, '10.9.0.7/24'],
    ['cidr=fd00::/16', 6, 'fd00::5/64'],
  ])('%s finds the IPv%i address with its prefix length', async (method, family, expected) => {
    const more: LinkAddress[] = [
      { device: 'docker0', isUp: true, mtu: 1500, cidr: '172.17.0.1/16', scope: 'global' },
      { device: 'ens5', isUp: true, mtu: 9001, cidr: '10.9.0.7/24', scope: 'global' },
      { device: 'ens6', isUp: false, mtu: 9001, cidr: '192.0.2.1/24', scope: 'global' },
    ];
    const around = { ...surroundings, addresses: [...addresses, ...more], internalIps: ['10.9.0.7'] };
    expect(await chooseAddress(family, { value: 'autodetect', method }, undefined, around)).toBe(expected);
  });

  const internal: LinkAddress = {
    device: 'bond1',
    isUp: true,
    mtu: 1500,
    cidr: '192.168.7.5/24',
    scope: 'global',
  };
  it.each<[string, string[], string, RegExp | undefined]>([
    ['the InternalIP when it is also the first address found', ['10.0.0.5'], '10.0.0.5/20', undefined],
    [
      "the InternalIP rather than the first interface's address, with a warning that names both",
      ['fd00::5', '192.168.7.5'],
      '192.168.7.5/24',
      /^the agent uses the Node's InternalIP 192\.168\.7\.5\/24 on bond1; first-found would choose 10\.0\.0\.5\/20 on eth0\. Set IP_AUTODETECTION_METHOD/,
    ],
    [
      "the first interface's address when no interface has the InternalIP, with a warning",
      ['203.0.113.9'],
      '10.0.0.5/20',
      /^the Node's InternalIP 203\.0\.113\.9 is on no interface that is up, so the agent uses 10\.0\.0\.5\/20 on eth0/,
    ],
    ["the first interface's address when the Node has no InternalIP", [], '10.0.0.5/20', undefined],
    [
      'an InternalIP on an interface that first-found skips',
      ['172.17.0.1'],
      '172.17.0.1/16',
      /172\.17\.0\.1/,
    ],
  ])('defaults to %s', async (_, internalIps, expected, warning) => {
    const warnings: string[] = [];
    const around = {
      ...surroundings,
      addresses: [...addresses, internal],
      internalIps,
      warn: (sentence: string) => warnings.push(sentence),
    };
    const setting = { value: 'autodetect', method: undefined };
    expect(await chooseAddress(4, setting, undefined, around)).toBe(expected);
    expect(warnings).toEqual(warning ? [expect.stringMatching(warning)] : []);
  });

  it('is refused when malformed, with the name of the variable or the method', async () => {
    const refused = (value: string, method = 'first-found') =>
      chooseAddress(4, { value, method }, undefined, surroundings);
    await expect(refused('fd00::1')).rejects.toThrow(/^IP=fd00::1: must be "autodetect", "none", or an IPv4/);
    await expect(refused('autodetect', 'guess')).rejects.toThrow(
      /^autodetection method guess: must be first/,
    );
    await expect(refused('autodetect', 'cidr=x')).rejects.toThrow(/"x" is not a network: write/);
    await expect(refused('autodetect', 'interface=(')).rejects.toThrow(/"\(" is not a regular expression/);
  });
});
