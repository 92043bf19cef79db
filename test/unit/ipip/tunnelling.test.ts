import { beforeEach, describe, expect, it } from 'vitest';
import { nodeKind } from '../../../datastore/schema/core.ts';
import type { IPPool } from '../../../datastore/schema/ip-pool.ts';
import { type IPAMBlock, ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { Ipam } from '../../../ipam/ipam.ts';
import { Tunnelling } from '../../../ipip/tunnelling.ts';
import type { Interfaces, Link } from '../../../kernel/port.ts';
import { silentLog } from '../../../lib/log.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';
import { annotatedNode, ipPool } from '../../helpers/objects.ts';

const self = annotatedNode('n1', { IPv4Address: '10.0.0.1/24' });
const far = annotatedNode('n2', { IPv4Address: '10.0.9.9/24', IPv4IPIPTunnelAddr: '10.1.9.0' });
const settings = {
  tunnels: { mtu: { ipip: 0, vxlan4: 0, vxlan6: 0 }, vxlanPort: 4789, vxlanVni: 4096 },
  mtuPattern: /^eth/,
};
const ipip = [ipPool('10.1.0.0/16', { ipipMode: 'Always' }, 'tunnelled')];
const settled = () => new Promise((resolve) => setImmediate(resolve));

let tunnelling: Tunnelling;
let changes: number;
beforeEach(async () => {
  const store = new MemoryStore();
  await store.create(nodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
  const view = {
    pools: () => ipip,
    blocks: () => store.all(ipamBlockKind) as unknown as IPAMBlock[],
    configuration: () => undefined,
    reservations: () => [],
    nodeLabels: () => ({}),
  };
  const clock = new ManualClock();
  changes = 0;
  tunnelling = new Tunnelling({
    store,
    clock,
    ipam: new Ipam({ node: 'n1' }, { store, clock, view }),
    log: silentLog,
    changed: () => {
      changes++;
    },
  });
});

const link = (name: string, mtu: number): [string, Link] => [
  name,
  { index: 1, name, mtu, isUp: true, mac: '02:00:00:00:00:01' },
];
/** Returns the kernel's interfaces: an uplink, and tunl0 with an address if it has one. */
function interfaces(address?: string, uplinkMtu = 1500): Interfaces {
  const links = [link('eth0', uplinkMtu)];
  if (address !== undefined) links.push(link('tunl0', uplinkMtu - 20));
  return {
    links: new Map(links),
    addresses: address === undefined ? [] : [{ device: 'tunl0', cidr: `${address}/32` }],
  };
}
function update(pools: readonly IPPool[] = ipip): void {
  tunnelling.update({ self, nodes: [self, far], families: [4], pools, settings });
}
/** Brings the tunnel up and returns its address. */
async function up(): Promise<string> {
  tunnelling.observe(interfaces(), {});
  update();
  await settled();
  const address = tunnelling.status()[0]?.address;
  if (address === undefined) throw new Error('no address was assigned');
  tunnelling.observe(interfaces(address), {});
  update();
  return address;
}

describe('the tunnels of a node', () => {
  it('do not exist before the first input', () => {
    expect(tunnelling.desired()).toEqual([]);
    expect(tunnelling.status()).toEqual([]);
    expect(tunnelling.podMtu()).toBe(1500);
    expect(tunnelling.encapsulate()('10.1.9.0/26', ['10.0.9.9'])).toEqual({ gateways: ['10.0.9.9'] });
  });

  it('get a device at once, and its address when IPAM has assigned one', async () => {
    tunnelling.observe(interfaces(), {});
    update();
    expect(tunnelling.desired()).toEqual([{ kind: 'ipip', address: undefined, mtu: 1480 }]);
    await settled();
    expect(changes).toBe(1);
    expect(tunnelling.desired()[0]?.address).toMatch(/^10\.1\./);
  });

  it('carry packets when the device is up with its address', async () => {
    tunnelling.observe(interfaces(), {});
    update();
    await settled();
    expect(tunnelling.encapsulate()('10.1.9.0/26', ['10.0.9.9'])).toEqual({ gateways: ['10.0.9.9'] });
    tunnelling.observe(interfaces('10.1.77.77'), {});
    expect(tunnelling.encapsulate()('10.1.9.0/26', ['10.0.9.9'])).toEqual({ gateways: ['10.0.9.9'] });
    const address = await up();
    expect(tunnelling.encapsulate()('10.1.9.0/26', ['10.0.9.9'])).toEqual({
      gateways: [],
      tunnels: [{ gateway: '10.0.9.9', device: 'tunl0', isOnlink: true }],
      source: address,
    });
    expect(tunnelling.status()).toEqual([{ device: 'tunl0', address, mtu: 1480, isUp: true }]);
  });

  it('ask for a calculation when the state of a tunnel or the uplink changes, and only then', async () => {
    const address = await up();
    expect(tunnelling.observe(interfaces(address), {})).toBe(false);
    const other = {
      ...interfaces(address),
      addresses: [...interfaces(address).addresses, { device: 'eth0', cidr: '10.0.0.1/24' }],
    };
    expect(tunnelling.observe(other, {})).toBe(false);
    expect(tunnelling.observe(interfaces(address, 1400), {})).toBe(true);
    expect(tunnelling.observe(interfaces(), {})).toBe(true);
    expect(tunnelling.observe(interfaces(), { ipip: 'no module' })).toBe(true);
  });

  it('reduce the MTU of pods, which follows the uplink', async () => {
    const address = await up();
    expect(tunnelling.podMtu()).toBe(1480);
    tunnelling.observe(interfaces(address, 9000), {});
    expect(tunnelling.podMtu()).toBe(8980);
  });

  it('that the kernel does not support make the node not ready, and name pool and remedy', async () => {
    const address = await up();
    expect(tunnelling.notReady()).toEqual([]);
    tunnelling.observe(interfaces(address), { ipip: 'Operation not supported' });
    const [reason] = tunnelling.notReady();
    expect(reason).toMatch(
      /^this kernel does not support IPIP \(Operation not supported\), which IPPool tunnelled requires: load the module \(modprobe ipip\)/,
    );
    expect(tunnelling.encapsulate()('10.1.9.0/26', ['10.0.9.9'])).toEqual({ gateways: ['10.0.9.9'] });
  });

  it('are not changed by a rehearsal', async () => {
    await up();
    const before = tunnelling.desired();
    tunnelling.rehearse({ self, nodes: [], families: [4], pools: [], settings });
    expect(tunnelling.desired()).toEqual(before);
  });

  it('warn about nodes that have no tunnel yet', async () => {
    await up();
    const bare = annotatedNode('n3', { IPv4Address: '10.0.8.8/24' });
    tunnelling.update({ self, nodes: [self, bare], families: [4], pools: ipip, settings });
    expect(tunnelling.warnings()).toEqual([expect.stringMatching(/^node n3 has no tunl0 yet/)]);
  });
});
