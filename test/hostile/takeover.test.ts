/** Fault A2: a pod speaks BGP in place of its node or another node. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../helpers/lab.ts';
import { Arena, GATEWAY, PATIENCE_MS } from './arena.ts';
import { hijack } from './hijack.ts';
import { udp } from './packets.ts';

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.start(3, '--pods', '1');
  // The highest TTL that a pod can send: GTSM alone does not stop it.
  arena.setTtl('node1-a', 255);
  await arena.sessionsAreOld();
});
afterAll(() => arena?.stop());

const own = { 4: '172.18.0.11', 6: 'fd00:172:18::11' } as const;
const other = { 4: '172.18.0.12', 6: 'fd00:172:18::12' } as const;
const service = { 4: '10.96.0.99', 6: 'fd00:96::99' } as const;

/** Attacks each target from a pod of node1, as node1, and returns how each attack ended. */
async function attack(targets: readonly { host: string; port?: number }[], isHasty = false) {
  const victims = await Promise.all((['node2-a', 'node3-a'] as const).map((pod) => arena.address(pod, 4)));
  const attackers = targets.map(({ host, port = 179 }) => {
    const isIpv6 = host.includes(':');
    const stolen = isIpv6 ? [] : victims.map((address) => `${address}/32`);
    return arena.speak('node1-a', {
      host,
      port,
      isHasty,
      ...hijack(own[4], isIpv6 ? own[6] : own[4], stolen),
    });
  });
  const outcomes = await Promise.all(attackers.map((attacker) => attacker.outcome()));
  await Promise.all(attackers.map((attacker) => attacker.stop()));
  return outcomes;
}

const refused = (count: number) => Array.from({ length: count }, () => 'refused');

/** Makes a Service's address lead to the BGP port of a node, as kube-proxy does. */
function translate(node: string, port: number, to: { 4: string; 6: string }) {
  const rules = `table inet hostile {
    chain services {
      type nat hook prerouting priority dstnat; policy accept;
      ip daddr ${service[4]} tcp dport ${port} dnat ip to ${to[4]}:179
      ip6 daddr ${service[6]} tcp dport ${port} dnat ip6 to [${to[6]}]:179
    }
  }\n`;
  const { stderr } = arena.lab.pipe(node, rules, 'nft', '-f', '-');
  expect(stderr).toBe('');
}

describe('a pod that sends its node’s OPEN to the BGP port', () => {
  it('a pod establishes no BGP session with its own node', () =>
    arena.unharmed(async () => {
      const targets = [own[4], own[6], 'fe80::ecee:eeff:feee:eeee%eth0', '169.254.1.1'];
      expect(await attack(targets.map((host) => ({ host })))).toEqual(refused(4));
    }));

  it('a pod that its node masquerades establishes no BGP session with another node', () =>
    arena.unharmed(async () => {
      expect(await attack([{ host: other[4] }, { host: other[6] }])).toEqual(refused(2));
    }));

  it('a pod that sends UPDATEs right after its OPEN changes no route and no session', () =>
    arena.unharmed(async () => {
      expect(await attack([{ host: other[4] }, { host: other[6] }], true)).toEqual(refused(2));
    }));

  it('a pod establishes no BGP session through a Service that leads to a node', () =>
    arena.unharmed(async () => {
      translate('node1', 1001, other);
      translate('node1', 1002, own);
      const targets = [1001, 1002].flatMap((port) =>
        [4, 6].map((f) => ({ host: service[f as 4 | 6], port })),
      );
      expect(await attack(targets)).toEqual(refused(4));
      arena.lab.sh('node1', 'nft delete table inet hostile');
    }));

  it('hundreds of connections from a pod leave every session unchanged', () =>
    arena.unharmed(async () => {
      const hosts = [own[4], own[6], other[4], other[6]].map((host) => `'${host}'`);
      const program = `const n=require('net');let left=400;for(let i=0;i<left;i++){const s=n.connect(179,[${hosts}][i%4]);s.on('error',()=>0);setTimeout(()=>s.destroy(),1500)}`;
      arena.lab.exec('node1-a', process.execPath, '-e', program);
    }));
});

describe('while the session that a pod tries to take over is down', () => {
  const routesOf = (node: string) => arena.kernel(node).filter((line) => line.includes(' via '));

  it('a pod cannot become a peer while its node’s agent is dead, and the routes to that node stay', async () => {
    const before = routesOf('node2');
    await arena.lab.ask({ do: 'node kill', name: 'node1' });
    expect(await attack([{ host: other[4] }, { host: other[6] }, { host: own[4] }])).toEqual(refused(3));
    expect(routesOf('node2')).toEqual(before);
  });

  it('a pod cannot become a peer while its node’s agent starts, and the agent’s sessions come back', async () => {
    const before = routesOf('node2');
    const started = arena.lab.ask({ do: 'node start', name: 'node1' });
    for (let round = 0; round < 3; round++)
      expect(await attack([{ host: other[4] }, { host: other[6] }, { host: own[4] }])).toEqual(refused(3));
    await started;
    await arena.worksAsBefore();
    expect(routesOf('node2')).toEqual(before);
  });

  it('a pod cannot become a peer before its node’s agent has started', async () => {
    await arena.lab.ask({ do: 'node stop', name: 'node1' });
    const attempts = attack([{ host: own[4] }, { host: own[6] }, { host: other[4] }]);
    await arena.lab.ask({ do: 'node start', name: 'node1' });
    expect(await attempts).toEqual(refused(3));
    await arena.worksAsBefore();
  });
});

describe('with settings that move or add ports', () => {
  /** Restarts the agents, because an agent reads its listening port only at start. */
  async function restartAgents(): Promise<void> {
    await Promise.all(arena.nodes.map((name) => arena.lab.ask({ do: 'node stop', name })));
    await Promise.all(arena.nodes.map((name) => arena.lab.ask({ do: 'node start', name })));
    await arena.worksAsBefore();
  }
  const configuration = (spec: object) =>
    arena.lab.apply('BGPConfiguration', 'default', { asNumber: 64512, ...spec });

  it('a pod establishes no BGP session on listenPort', async () => {
    configuration({ listenPort: 1790 });
    await restartAgents();
    await arena.unharmed(async () => {
      const targets = [own[4], own[6], other[4], other[6]].map((host) => ({ host, port: 1790 }));
      expect(await attack(targets)).toEqual(refused(4));
    });
    configuration({});
    await restartAgents();
  });

  it('a pod that sends BFD packets with state Down ends no session', async () => {
    configuration({ bfd: {} });
    const isUp = async () => {
      const peers = await Promise.all(arena.nodes.map((node) => arena.status(node)));
      return peers.flatMap(({ bgp }) => bgp.peers).every(({ bfd }) => bfd === 'Up');
    };
    await until('BFD is up', PATIENCE_MS, isUp);
    await arena.worksAsBefore();
    const source = await arena.address('node1-a', 4);
    const source6 = await arena.address('node1-a', 6);
    // AdminDown and Down, multiplier 3, Your Discriminator zero, as from a session that has just started.
    const packets = ['20000318', '20400318'].flatMap((start) =>
      [3784, 4784, 6784].flatMap((port) =>
        [4, 6].flatMap((family) =>
          [own, other].map((node) =>
            udp(
              { source: family === 4 ? source : source6, destination: node[family as 4 | 6], ttl: 255 },
              { from: 49152, to: port },
              Buffer.from(`${start}0badf00d00000000000f424000000f424000000000`.slice(0, 48), 'hex'),
            ),
          ),
        ),
      ),
    );
    await arena.unharmed(async () => {
      for (let round = 0; round < 20; round++) arena.send('node1-a', 'eth0', GATEWAY, packets);
      expect(await isUp()).toBe(true);
    });
    configuration({});
  });
});

it('pods, nodes and sessions work as before the attacks', () => arena.worksAsBefore());
