import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, TestLab, until } from '../helpers/lab.ts';

describe('felix repairs what is Cali’s and leaves everything else', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.start(['--nodes', '2', '--pods', '2']);
  });
  afterAll(() => lab?.stop());

  const routes = () => lab.sh('node1', 'ip route show; ip -6 route show | grep -v fe80');

  it('repairs a deleted, a changed and an added route without waiting for the 90 s resync', async () => {
    const before = routes();
    const learned = /^(10\.244\.\S+) via \S+ dev eth0 proto 162/m.exec(before)![1]!;
    const workload = /^(10\.244\.\S+) dev (cali\S+) proto 161/m.exec(before)!;
    const block = /^blackhole (\S+) proto 161/m.exec(before)![1]!;
    const v6 = /^(fd00:10:\S+) via \S+ dev eth0 proto 162/m.exec(before)![1]!;
    const damage = [
      `ip route del ${learned}`,
      `ip route replace ${learned} via 172.18.0.1 proto 162`,
      `ip route del ${workload[1]}`,
      `ip route replace ${workload[1]} dev lo proto 161`,
      `ip route del blackhole ${block}`,
      `ip -6 route del ${v6}`,
      'ip route add 10.99.0.0/24 via 172.18.0.1 proto 162',
      'ip route add blackhole 10.98.0.0/24 proto 161',
      'ip -6 route add fd99::/64 via fd00:172:18::1 proto 161',
      'ip route add 10.97.0.0/24 via 172.18.0.1 proto 161 metric 77',
    ];
    for (const command of damage) {
      lab.sh('node1', command);
      await until(`"${command}" is repaired`, 5000, () => routes() === before);
    }
  });

  it('repairs a deleted neighbour entry and a changed sysctl of an interface', async () => {
    const neighbours = () => lab.sh('node1', 'ip neigh show nud permanent');
    const before = neighbours();
    const [address, , device] = before.split(' ');
    lab.sh('node1', `ip neigh del ${address} dev ${device}`);
    await until('the neighbour entry is back', 1000, () => neighbours() === before);
    // After the interface flaps, its sysctls are set again.
    lab.sh(
      'node1',
      `ip link set ${device} down && echo 0 > /proc/sys/net/ipv4/conf/${device}/proxy_arp && ip link set ${device} up`,
    );
    await until('the pod is reachable again', 3000, async () => (await lab.unreachable(500)).length === 0);
  });

  it.skipIf(!hasProgram('conntrack'))(
    'deletes the conntrack entries of a deleted pod (skipped without conntrack)',
    async () => {
      const pod = (await lab.ask({ do: 'pod add', node: 'node1', name: 'talker' })) as {
        addresses: string[];
      };
      const [address] = pod.addresses;
      const insert = (source: string, target: string) =>
        lab.sh('node1', `conntrack -I -p udp -s ${source} -d ${target} --sport 1000 --dport 53 -t 600`);
      insert(address!, '172.18.0.1');
      insert('172.18.0.1', address!);
      insert('172.18.0.1', '172.18.0.11');
      const tracked = () => lab.sh('node1', 'conntrack -L 2>/dev/null');
      expect(tracked()).toContain(address!);
      await lab.ask({ do: 'pod delete', name: 'talker' });
      await until('the pod’s connections are gone', 2000, () => !tracked().includes(address!));
      expect(tracked()).toContain('dst=172.18.0.11');
    },
  );

  it('applies changes of FelixConfiguration at run time: ports move, the log severity changes', async () => {
    const get = (url: string) =>
      lab.exec(
        'node1',
        process.execPath,
        '-e',
        `fetch('${url}').then(async r => process.stdout.write(r.status + ' ' + await r.text()), () => process.exit(1))`,
      );
    expect(get('http://localhost:9099/readyz').stdout).toBe('200 ready\n');
    const metrics = get('http://127.0.0.1:9091/metrics').stdout;
    expect(metrics).toMatch(/^felix_resync_state 3$/m);
    expect(metrics).toMatch(/^felix_int_dataplane_apply_time_seconds_count [1-9]/m);
    expect(metrics).toMatch(/^cali_datastore_watch_up\{resource="ippools"\} 1$/m);
    expect(metrics).toMatch(
      /cali_bgp_peer_up\{peer="172\.18\.0\.12",peer_node="node2",type="node-to-node mesh"\} 1/,
    );
    const felix = {
      apiVersion: 'projectcalico.org/v3',
      kind: 'FelixConfiguration',
      metadata: { name: 'node.node1' },
      spec: { prometheusMetricsPort: 9555, healthPort: 9556, logSeverityScreen: 'Debug' },
    };
    lab.pipe('node1', JSON.stringify(felix), 'calictl', 'apply', '-f', '-');
    await until(
      'the ports have moved',
      3000,
      () =>
        get('http://127.0.0.1:9555/metrics').code === 0 && get('http://localhost:9556/healthz').code === 0,
    );
    expect(get('http://127.0.0.1:9091/metrics').code).toBe(1);
    // Felix logs the routes that it removes at debug level.
    lab.sh('node1', 'ip route add blackhole 10.98.7.0/24 proto 161');
    await until(
      'the log has debug lines',
      2000,
      () => lab.sh('lab', 'grep -c \'"level":20\' /run/cali-lab/log/node1.log || true').trim() !== '0',
    );
    expect(lab.exec('node1', 'calictl', 'delete', 'felixconfiguration', 'node.node1').code).toBe(0);
    await until(
      'the health port is the default again',
      3000,
      () => get('http://localhost:9099/readyz').stdout === '200 ready\n',
    );
  });

  it('does not touch a foreign route, veth or address, even across a restart of the agent', async () => {
    lab.sh(
      'node1',
      [
        'ip route add 10.50.0.0/16 via 172.18.0.1 proto static',
        'ip route add 10.244.200.0/24 via 172.18.0.1 proto static',
        'ip link add foreign0 type veth peer name foreign1',
        'ip link set foreign0 up',
        'ip addr add 10.51.0.1/24 dev foreign0',
        'ip route add 10.52.0.0/16 dev foreign0 proto 99',
      ].join(' && '),
    );
    const foreign = () =>
      lab.sh('node1', 'ip route show | grep -v "proto 161\\|proto 162"; ip -br addr show foreign0');
    const before = foreign();
    const watch = lab.follow('node1', 'ip', '-o', 'monitor', 'route', 'link', 'address');
    await lab.ask({ do: 'node kill', name: 'node1' });
    await lab.ask({ do: 'node start', name: 'node1' });
    await until('node1’s sessions have settled', 20_000, () => lab.status('node1').bgp.isSettled);
    await lab.ask({ do: 'pod add', node: 'node1', name: 'unrelated' });
    await lab.ask({ do: 'pod delete', name: 'unrelated' });
    expect(foreign()).toBe(before);
    const events = await watch.stop();
    expect(events.filter((line) => /foreign|proto static|proto 99/.test(line))).toEqual([]);
  });

  it('refuses a pod whose address has a foreign route, and leaves that route and nothing else', async () => {
    lab.sh('node1', 'ip route add 10.244.66.6/32 via 172.18.0.1 proto static');
    const annotations = { 'cni.projectcalico.org/ipAddrs': '["10.244.66.6"]' };
    const add = () => lab.ask({ do: 'pod add', node: 'node1', name: 'blocked', annotations });
    await expect(add()).rejects.toThrow(/another program \(proto static\) has a route to 10\.244\.66\.6\/32/);
    expect(lab.sh('node1', 'ip route show 10.244.66.6')).toContain('proto static');
    expect(lab.sh('node1', 'calictl get ipamhandles')).not.toContain('lab-blocked');
    lab.sh('node1', 'ip route del 10.244.66.6/32 proto static');
    await add();
    expect(lab.sh('node1', 'ip route show 10.244.66.6')).toMatch(/dev cali\S+ proto 161/);
    await lab.ask({ do: 'pod delete', name: 'blocked' });
  });

  it('never removes the route of a pod that is added during a resync', async () => {
    const watch = lab.follow('node1', 'ip', '-o', 'monitor', 'route');
    const disturber = lab.follow(
      'node1',
      'sh',
      '-c',
      'while :; do ip route add 10.53.0.0/16 dev lo; sleep 0.02; ip route del 10.53.0.0/16 dev lo; sleep 0.02; done',
    );
    const names = Array.from({ length: 100 }, (_, index) => `during${index}`);
    await Promise.all(
      [0, 1, 2, 3].map(async (part) => {
        for (const name of names.slice(part * 25, part * 25 + 25))
          await lab.ask({ do: 'pod add', node: 'node1', name });
      }),
    );
    await disturber.stop();
    const removed = (await watch.stop()).filter((line) => /^Deleted .* dev cali\S+ proto 161/.test(line));
    expect(removed).toEqual([]);
    for (const name of names) await lab.ask({ do: 'pod delete', name });
  });

  it('reports a foreign route that is in the way and does not replace it', async () => {
    const learned = /^(10\.244\.\S+) via \S+ dev eth0 proto 162/m.exec(routes())![1]!;
    lab.sh('node1', `ip route replace ${learned} via 172.18.0.1 proto static`);
    await until('the conflict is reported', 2000, () =>
      lab
        .status('node1')
        .dataplane.problems.some(
          (problem) => problem.includes(learned) && problem.includes('another program'),
        ),
    );
    expect(lab.sh('node1', `ip route show ${learned}`)).toContain('proto static');
    lab.sh('node1', `ip route del ${learned} proto static`);
    await until('felix’s route is back', 1000, () =>
      routes().includes(`${learned} via 172.18.0.12 dev eth0 proto 162`),
    );
  });
});
