import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { podInterfaceName } from '../../model/endpoint.ts';
import { root, TestLab, until } from '../helpers/lab.ts';

/** Commands that plant other programs' objects in a node's kernel. */
const plant = [
  // FRR or GoBGP, Calico's bird, OVN, an operator.
  'ip route add 10.50.0.0/16 via 172.18.0.1 proto bgp',
  'ip route add 10.51.0.0/16 via 172.18.0.1 proto bird',
  'ip route add 10.52.0.0/16 via 172.18.0.1 proto 84',
  'ip -6 route add fd50::/48 via fd00:172:18::1 proto bgp',
  'ip route add blackhole 10.53.0.0/16 proto 80',
  // Names that look like ours.
  'ip link add california0 type veth peer name california1',
  'ip link set california0 up',
  'ip address add 10.54.0.1/24 dev california0',
  'ip neigh replace 10.54.0.9 lladdr 02:00:00:00:00:09 dev california0 nud permanent',
  'ip route add 10.55.0.0/16 via 10.54.0.9 dev california0 proto 80',
  'ip link add cali0 type bridge',
  'ip link add cali0123456789a type bridge',
  'ip link set cali0123456789a up',
  'ip address add 10.56.0.1/24 dev cali0123456789a',
  'ip neigh replace 10.56.0.9 lladdr 02:00:00:00:00:09 dev cali0123456789a nud permanent',
  'ip link add vxlan.calico type vxlan id 77 dstport 4790 local 172.18.0.11 nolearning',
  'nft add table inet theirs',
  'nft add table ip cali',
];
const show =
  'ip route | grep -vE "proto (161|162)"; ip -6 route | grep -vE "fe80|proto (161|162)"; ' +
  'ip -br link | grep -E "^(california|cali0|cali0123456789a|vxlan.calico)" | cut -d" " -f1; ' +
  'ip -br address show california0; ip -br address show cali0123456789a; ip neigh show nud permanent | grep "\\.9 dev"; ' +
  'nft list tables | grep -v "inet cali$"';

describe('felix and --cleanup change only what is Cali’s', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.start(['--nodes', '2', '--pods', '2']);
  });
  afterAll(() => lab?.stop());
  const foreign = () => lab.sh('node1', show);
  const ours = () => lab.sh('node1', 'ip route; ip -6 route').match(/.* proto 16[12]\b.*/g) ?? [];
  const settled = () =>
    until('node1’s sessions have settled', 60_000, () => lab.status('node1').bgp.isSettled);

  it('felix leaves what other programs wrote, at run time and across a restart', async () => {
    lab.sh('node1', plant.join(' && '));
    const before = foreign();
    const routes = ours();
    await lab.ask({ do: 'pod add', node: 'node1', name: 'more' });
    await lab.ask({ do: 'pod delete', name: 'more' });
    await lab.ask({ do: 'node kill', name: 'node1' });
    await lab.ask({ do: 'node start', name: 'node1' });
    await settled();
    await lab.ask({ do: 'pod add', node: 'node1', name: 'more' });
    await lab.ask({ do: 'pod delete', name: 'more' });
    await until(
      'felix’s routes are as before',
      10_000,
      () => ours().sort().join() === routes.toSorted().join(),
    );
    expect(foreign()).toBe(before);
  });

  it('felix adopts the routes of version 0.1 once, losing no packet, and no foreign routes', async () => {
    const before = foreign();
    const routes = ours().sort();
    await lab.ask({ do: 'flows start', intervalMs: 10 });
    await lab.ask({ do: 'node kill', name: 'node1' });
    // A node as version 0.1 leaves it: that version's route protocols, no file with them, and some stale routes.
    for (const route of routes) {
      const old = route
        .trim()
        .replace('proto 161', 'proto 80')
        .replace('proto 162', 'proto bgp')
        .replace(/ (pref|metric) \S+/g, '');
      lab.sh('node1', `ip ${old.includes('fd00') ? '-6 ' : ''}route replace ${old.replace(/ dev lo\b/, '')}`);
    }
    lab.sh(
      'node1',
      [
        'rm /run/cali-lab/node1/route-protocols.json',
        'ip route add 10.244.250.0/26 via 172.18.0.1 proto bgp',
        'ip route add blackhole 10.244.251.0/26 proto 80',
      ].join(' && '),
    );
    expect(ours()).toEqual([]);
    await lab.ask({ do: 'node start', name: 'node1' });
    await settled();
    await until(
      'felix’s routes have its own protocol numbers',
      20_000,
      () => ours().sort().join() === routes.join(),
    );
    expect((await lab.flows()).filter(({ lost }) => lost > 0)).toEqual([]);
    await until('the stale routes are gone', 20_000, () => foreign() === before);
    const numbers = () =>
      JSON.parse(lab.sh('node1', 'cat /run/cali-lab/node1/route-protocols.json')) as object;
    await until('the file of protocol numbers has no former ones', 20_000, () =>
      JSON.stringify(numbers()).includes('"former":{"local":[],"bgp":[]}'),
    );
    // From now on the old protocol numbers belong to other programs, even inside the pools.
    lab.sh('node1', 'ip route add 10.244.250.0/26 via 172.18.0.1 proto bgp');
    await lab.ask({ do: 'pod add', node: 'node1', name: 'more' });
    await lab.ask({ do: 'pod delete', name: 'more' });
    expect(lab.sh('node1', 'ip route show 10.244.250.0/26')).toContain('proto bgp');
    lab.sh('node1', 'ip route del 10.244.250.0/26');
  });

  it('felix changes its routes’ protocol number at run time, in place, and refuses a number of the host', async () => {
    const before = ours().length;
    const count = (number: number) =>
      (lab.sh('node1', 'ip route; ip -6 route').match(new RegExp(`proto ${number}\\b`, 'g')) ?? []).length;
    const local = count(161);
    await lab.ask({ do: 'flows start', intervalMs: 10 });
    lab.apply('FelixConfiguration', 'node.node1', { deviceRouteProtocol: 170 });
    await until('the routes have the new number', 10_000, () => count(170) === local && count(161) === 0);
    expect(() => lab.apply('FelixConfiguration', 'node.node1', { deviceRouteProtocol: 4 })).toThrow(
      /deviceRouteProtocol: Invalid value: 4: is static, which marks routes of the host itself: choose another number/,
    );
    expect(count(170)).toBe(local);
    expect(lab.exec('node1', 'calictl', 'delete', 'felixconfiguration', 'node.node1').code).toBe(0);
    await until(
      'the routes have the old number again',
      10_000,
      () => count(161) === local && count(170) === 0,
    );
    expect((await lab.flows()).filter(({ lost }) => lost > 0)).toEqual([]);
    expect(ours()).toHaveLength(before);
  });

  it('ADD refuses an interface name that another program’s interface has, and leaves that interface', async () => {
    const name = podInterfaceName('default', 'taken');
    lab.sh('node1', `ip link add ${name} type bridge`);
    await expect(lab.ask({ do: 'pod add', node: 'node1', name: 'taken' })).rejects.toThrow(
      new RegExp(`interface ${name} exists and is not Cali's: rename or remove it`),
    );
    expect(lab.sh('node1', `ip -d -j link show ${name}`)).toContain('bridge');
    lab.sh('node1', `ip link del ${name}`);
  });

  it('--cleanup removes what is Cali’s and leaves everything else', async () => {
    lab.sh('node1', 'ip link add vxlan.cali type vxlan id 78 dstport 4791 local 172.18.0.11 nolearning');
    const before = foreign()
      .split('\n')
      .filter((line) => !line.includes('linkdown'));
    await lab.ask({ do: 'node stop', name: 'node1' });
    const said = lab.sh('node1', `${process.execPath} ${root}/dist/cali-node.js --cleanup`);
    expect(said).toContain('kept: interface vxlan.cali belongs to another program');
    expect(ours()).toEqual([]);
    expect(
      foreign()
        .split('\n')
        .filter((line) => !line.includes('linkdown')),
    ).toEqual(before);
    expect(lab.sh('node1', 'ip -br link')).toMatch(/vxlan\.cali /);
    expect(lab.sh('node1', 'ip -br link')).not.toMatch(new RegExp(podInterfaceName('default', 'node1-a')));
    expect(lab.exec('node1', 'nft', 'list', 'table', 'inet', 'cali').code).not.toBe(0);
  });
});
