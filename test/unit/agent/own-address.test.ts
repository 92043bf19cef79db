import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../agent/config.ts';
import { followAddress, type Interfaces } from '../../../agent/follow-address.ts';
import { OwnAddress } from '../../../agent/own-address.ts';
import { nodeKind } from '../../../datastore/schema/core.ts';
import { nodeInfo } from '../../../felix/calc/topology.ts';
import { silentLog } from '../../../lib/log.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

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

describe('the address that a node in use goes on with', () => {
  it.each<[string, string | undefined, object[], string | undefined]>([
    ['the same while an interface has it', 'autodetect', [on('eth0', '10.0.0.5/24')], '10.0.0.5/24'],
    ['the length that it has there now', 'autodetect', [on('eth0', '10.0.0.5/20')], '10.0.0.5/20'],
    [
      'the same beside one that would be found first',
      'autodetect',
      [on('a0', '10.0.0.4/24'), on('eth0', '10.0.0.5/24')],
      '10.0.0.5/24',
    ],
    ['the same on another interface', 'autodetect', [on('br0', '10.0.0.5/24')], '10.0.0.5/24'],
    [
      'another one when its interface is down',
      'autodetect',
      [on('eth0', '10.0.0.5/24', { isUp: false }), on('eth1', '10.0.1.5/24')],
      '10.0.1.5/24',
    ],
    [
      'the same when its interface is down and there is no other',
      'autodetect',
      [on('eth0', '10.0.0.5/24', { isUp: false })],
      '10.0.0.5/24',
    ],
    ['none when no interface has one', 'autodetect', [IPV6], undefined],
    [
      'none that is checked for duplicates still',
      'autodetect',
      [on('eth0', '10.0.0.7/24', { isTentative: true })],
      undefined,
    ],
    [
      'a lasting one rather than one that will go',
      'autodetect',
      [on('eth0', '10.0.0.7/24', { isFleeting: true }), on('eth1', '10.0.0.8/24')],
      '10.0.0.8/24',
    ],
    ['one that was given, wherever it is', '10.0.0.5/24', [IPV6], '10.0.0.5/24'],
    [
      'one that was given, with the length of its interface',
      '10.0.0.5',
      [on('eth0', '10.0.0.5/16')],
      '10.0.0.5/16',
    ],
    ['none where none is wanted', 'none', [on('eth0', '10.0.0.5/24')], undefined],
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

  it('is the InternalIP that no interface has where the method says so', async () => {
    const surroundings = { ...nothing, addresses: [on('eth1', '10.0.1.5/24')], internalIps: ['10.0.0.5'] };
    const setting = { value: 'autodetect', method: 'kubernetes-internal-ip' };
    expect(await followAddress(4, setting, { used, annotated: used }, surroundings)).toBe('10.0.0.5/24');
  });

  it('is the Node’s annotation where nothing is set', async () => {
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

describe('a change of the interfaces', () => {
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
      look: () => looks++,
      publish,
      adopt: ({ addresses }) => adopted.push(addresses),
    });
    return { clock, own, adopted, looks: () => looks };
  }

  it('counts when it has lasted two seconds, and one that is over by then is none', async () => {
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

  it('that cannot be published is said, and tried again', async () => {
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

  it('that leaves no address at all changes nothing, and is said', async () => {
    const { clock, own, adopted } = follow(async () => nodeInfo(present));
    for (const delay of [0, 3000, 3000]) {
      clock.advance(delay);
      own.update(nodeInfo(present), present, look());
      await turn();
    }
    expect(adopted).toEqual([]);
    expect(own.problems).toEqual([
      '10.0.0.5, the address of this node, is on no interface that is up: give it back, or give the node another',
    ]);
  });
});
