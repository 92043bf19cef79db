import { describe, expect, it } from 'vitest';
import { followAddress } from '../../../../agent/identity/follow-address.ts';
import { OwnAddress } from '../../../../agent/identity/own-address.ts';
import { readConfig } from '../../../../agent/inputs/environment.ts';
import { nodeKind } from '../../../../datastore/schema/core.ts';
import type { Interfaces } from '../../../../kernel/port.ts';
import { silentLog } from '../../../../lib/log.ts';
import { nodeInfo } from '../../../../model/node.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';

const on = (device: string, cidr: string, more: object = {}) => ({
  device,
  isUp: true,
  mtu: 1500,
  cidr,
  scope: 'global',
  ...more,
});
const nothing = {
  addresses: [],
  internalIps: [],
  sourceTowards: async () => undefined,
  warn: () => undefined,
};
const used = { address: '10.0.0.5', length: 24 };
const IPV6 = on('eth0', 'fd00::5/64');

describe('the address of a node that already has one', () => {
  it.each<[string, string | undefined, object[], string | undefined]>([
    ['unchanged while an interface has it', 'autodetect', [on('eth0', '10.0.0.5/24')], '10.0.0.5/24'],
    [
      'given the current prefix length of its interface',
      'autodetect',
      [on('eth0', '10.0.0.5/20')],
      '10.0.0.5/20',
    ],
    [
      'unchanged when another address would be found first',
      'autodetect',
      [on('a0', '10.0.0.4/24'), on('eth0', '10.0.0.5/24')],
      '10.0.0.5/24',
    ],
    ['unchanged when it moves to another interface', 'autodetect', [on('br0', '10.0.0.5/24')], '10.0.0.5/24'],
    [
      'replaced by another one when its interface is down',
      'autodetect',
      [on('eth0', '10.0.0.5/24', { isUp: false }), on('eth1', '10.0.1.5/24')],
      '10.0.1.5/24',
    ],
    [
      'unchanged when its interface is down and no other address exists',
      'autodetect',
      [on('eth0', '10.0.0.5/24', { isUp: false })],
      '10.0.0.5/24',
    ],
    ['undefined when no interface has an address of the family', 'autodetect', [IPV6], undefined],
    [
      'not one that is still tentative (duplicate address detection)',
      'autodetect',
      [on('eth0', '10.0.0.7/24', { isTentative: true })],
      undefined,
    ],
    [
      'a permanent address rather than a deprecated or temporary one',
      'autodetect',
      [on('eth0', '10.0.0.7/24', { isFleeting: true }), on('eth1', '10.0.0.8/24')],
      '10.0.0.8/24',
    ],
    ['the configured one, on whichever interface', '10.0.0.5/24', [IPV6], '10.0.0.5/24'],
    [
      'the configured one, with the prefix length of its interface',
      '10.0.0.5',
      [on('eth0', '10.0.0.5/16')],
      '10.0.0.5/16',
    ],
    ['undefined when the setting is none', 'none', [on('eth0', '10.0.0.5/24')], undefined],
  ])('is %s', async (_, value, addresses, expected) => {
    const surroundings = {
      addresses: addresses as ReturnType<typeof on>[],
      internalIps: [],
      sourceTowards: async () => undefined,
      warn: () => undefined,
    };
    const setting = { value, method: 'first-found' };
    expect(await followAddress(4, setting, { used, annotated: used }, surroundings)).toBe(expected);
  });

  it('is the InternalIP even if no interface has it when the method is kubernetes-internal-ip', async () => {
    const surroundings = { ...nothing, addresses: [on('eth1', '10.0.1.5/24')], internalIps: ['10.0.0.5'] };
    const setting = { value: 'autodetect', method: 'kubernetes-internal-ip' };
    expect(await followAddress(4, setting, { used, annotated: used }, surroundings)).toBe('10.0.0.5/24');
  });

  it('is the Node’s annotation when nothing is set', async () => {
    const surroundings = {
      addresses: [on('eth0', '10.0.0.5/24')],
      internalIps: [],
      sourceTowards: async () => undefined,
      warn: () => undefined,
    };
    const annotated = { address: '192.0.2.1', length: 24 };
    const setting = { value: undefined, method: 'first-found' };
    expect(await followAddress(4, setting, { used, annotated }, surroundings)).toBe('192.0.2.1/24');
  });
});

describe('a change of interface addresses', () => {
  const nodeWith = (annotations: Record<string, string>) =>
    nodeKind.schema.parse({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n1', annotations },
      spec: {},
      status: {},
    });
  const present = nodeWith({ 'projectcalico.org/IPv4Address': '10.0.0.5/24' });
  const look = (...cidrs: string[]): Interfaces => ({
    links: new Map([['eth0', { index: 2, name: 'eth0', isUp: true, mac: '', mtu: 1500 }]]),
    addresses: cidrs.map((cidr) => ({ device: 'eth0', cidr })),
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  function follow(publish: () => Promise<ReturnType<typeof nodeInfo>>) {
    const clock = new ManualClock();
    let looks = 0;
    const adopted: object[] = [];
    const own = new OwnAddress(readConfig({ NODENAME: 'n1', IP: 'autodetect', IP6: 'autodetect' }), {
      clock,
      log: silentLog,
      sourceTowards: async () => undefined,
      look: () => looks++,
      publish,
      adopt: ({ addresses }) => adopted.push(addresses),
    });
    return { clock, own, adopted, looks: () => looks };
  }

  it('takes effect after two seconds, and has no effect if it is reverted earlier', async () => {
    const both = nodeWith({ ...present.metadata.annotations, 'projectcalico.org/IPv6Address': 'fd00::5/64' });
    const { clock, own, adopted, looks } = follow(async () => nodeInfo(both));
    const update = async (...cidrs: string[]) => {
      own.update(nodeInfo(present), present, look(...cidrs));
      await turn();
    };
    await update('10.0.0.5/24', 'fd00::5/64');
    clock.advance(1000);
    await update('10.0.0.5/24');
    await update('10.0.0.5/24', 'fd00::5/64');
    clock.advance(1500);
    await update('10.0.0.5/24', 'fd00::5/64');
    expect(adopted).toEqual([]);
    clock.advance(600);
    expect(looks()).toBe(1);
    await update('10.0.0.5/24', 'fd00::5/64');
    expect(adopted).toEqual([{ 4: used, 6: { address: 'fd00::5', length: 64 } }]);
  });

  it('is reported and retried when it cannot be published', async () => {
    let isDown = true;
    const { clock, own, adopted, looks } = follow(async () => {
      if (isDown) throw new Error('the API is away');
      return nodeInfo(present);
    });
    const update = async () => {
      own.update(nodeInfo(present), present, look('10.0.0.5/24', 'fd00::5/64'));
      await turn();
    };
    await update();
    clock.advance(2000);
    await update();
    expect(own.problems).toEqual(['the new addresses of this node are not published: the API is away']);
    isDown = false;
    clock.advance(5000);
    expect(looks()).toBe(2);
    await update();
    expect([own.problems, adopted.length]).toEqual([[], 1]);
    // Addresses that cannot be read back from the Node are published only once.
    await update();
    clock.advance(60_000);
    await update();
    expect(adopted).toHaveLength(1);
  });

  it('is ignored and reported when it leaves the node without any address', async () => {
    const { clock, own, adopted } = follow(async () => nodeInfo(present));
    for (const delay of [0, 3000, 3000]) {
      clock.advance(delay);
      own.update(nodeInfo(present), present, look());
      await turn();
    }
    expect(adopted).toEqual([]);
    expect(own.problems).toEqual([
      '10.0.0.5, the address of this node, is on no interface that is up: restore it, or give the node another',
    ]);
  });
});
