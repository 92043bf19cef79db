import { describe, expect, it } from 'vitest';
import { publishNode, routerIdOf } from '../../../../agent/identity/node-setup.ts';
import { readConfig } from '../../../../agent/inputs/environment.ts';
import { nodeAnnotations, nodeKind } from '../../../../datastore/schema/core.ts';
import { type Log, silentLog } from '../../../../lib/log.ts';
import { MemoryStore } from '../../../helpers/memory-store.ts';

const ip6 = nodeAnnotations.ipv6Address;

/** Publishes a node that has 2001:db8::1, while Node evil has annotated itself with `claim`. */
async function publish(internalIp: string, claim: string) {
  const store = new MemoryStore();
  const node = (name: string, addresses: object[], annotations = {}) =>
    store.create(nodeKind, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, annotations },
      spec: {},
      status: { addresses },
    });
  await node('n1', [{ type: 'InternalIP', address: internalIp }]);
  await node('evil', [{ type: 'InternalIP', address: '2001:db8::66' }], { [ip6]: claim });
  const warnings: object[] = [];
  const log: Log = { ...silentLog, warn: (fields) => void warnings.push(fields) };
  const config = readConfig({ NODENAME: 'n1', IP: 'none', IP6: '2001:db8::1' });
  const interfaces = [
    { device: 'eth0', isUp: true, mtu: 1500, cidr: '2001:db8::1/64', scope: 'global' },
  ] as const;
  const { addresses } = await publishNode(config, {
    store,
    addresses: () => interfaces,
    sourceTowards: async () => undefined,
    log,
  });
  return { address: addresses[6]?.address, warnings };
}

describe('an address that another Node claims in its annotation', () => {
  it.each(['2001:db8::1/64', '2001:DB8:0::1/128', '2001:db8::1'])(
    'stays with this node when kubelet reports it here, even if claimed as %s',
    async (claim) => {
      const { address, warnings } = await publish('2001:DB8::1', claim);
      expect(address).toBe('2001:db8::1');
      expect(warnings).toEqual([{ address: '2001:db8::1', other: 'evil' }]);
    },
  );

  it('is a conflict that a later attempt may resolve when kubelet does not report it', async () => {
    await expect(publish('2001:db8::2', '2001:DB8::1/64')).rejects.toMatchObject({
      code: 'ADDRESS_CONFLICT',
      message: expect.stringContaining('Node evil also has the address 2001:db8::1'),
    });
  });

  it('causes no conflict when the claim is malformed or for another address', async () => {
    for (const claim of ['x', '2001:db8::9/64', ''])
      expect((await publish('2001:db8::2', claim)).address).toBe('2001:db8::1');
  });
});

it('the router ID is the address, a hash below the multicast range, or the given one', () => {
  const node = {
    name: 'n1',
    labels: {},
    addresses: { 4: { address: '10.0.0.5', length: 24 } },
    asNumber: undefined,
    clusterId: undefined,
    tunnels: {},
  };
  const of = (routerId?: string) =>
    routerIdOf(readConfig({ NODENAME: 'n1', CALICO_ROUTER_ID: routerId }), node);
  expect(of()).toBe('10.0.0.5');
  expect(of('1.2.3.4')).toBe('1.2.3.4');
  expect(Number(of('hash').split('.')[0])).toBeLessThan(224);
  expect(of('hash')).toBe(of('hash'));
});
