/** Faults A2 and A13 from the wire: a host on the nodes' link that is not a node uses its own or a stolen address. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../helpers/lab.ts';
import { Arena, PATIENCE_MS } from './arena.ts';
import { hijack } from './hijack.ts';
import { SYN, tcp, udp } from './packets.ts';

const RST = 0x04;
const node1 = { 4: '172.18.0.11', 6: 'fd00:172:18::11' } as const;
const node2 = { 4: '172.18.0.12', 6: 'fd00:172:18::12' } as const;

let arena: Arena;
let macOfNode2: string;
beforeAll(async () => {
  arena = await Arena.start(2, '--pods', '1');
  arena.addStranger();
  // The thief answers ARP and neighbour solicitations for node1's addresses, as node1 does.
  arena.addStranger('thief', [`${node1[4]}/24`, `${node1[6]}/64`]);
  macOfNode2 = arena.mac('node2', 'eth0');
  // The API server's host keeps the real node1's MAC address: the target is node2.
  for (const family of [4, 6] as const)
    arena.lab.sh(
      'lab',
      `ip neigh replace ${node1[family]} lladdr ${arena.mac('node1', 'eth0')} dev lab0 nud permanent`,
    );
  await arena.sessionsAreOld();
});
afterAll(() => arena?.stop());

/** Opens BGP sessions with node2 as node1, over both families, and sends all announcements. */
async function attack(place: string, isHasty = false) {
  const attackers = ([4, 6] as const).map((family) =>
    arena.speak(place, { host: node2[family], port: 179, isHasty, ...hijack(node1[4], node1[family]) }),
  );
  const outcomes = await Promise.all(attackers.map((attacker) => attacker.outcome()));
  await Promise.all(attackers.map((attacker) => attacker.stop()));
  return outcomes;
}

/** Sets node2's neighbour entries as a reply to ARP or neighbour discovery would: node1's addresses lead to `place`. */
const direct = (place: string) => {
  const mac = arena.mac(place, 'eth0');
  for (const family of [4, 6] as const)
    arena.lab.sh('node2', `ip neigh replace ${node1[family]} lladdr ${mac} dev eth0 nud reachable`);
};

describe('a host on the wire that uses its own address', () => {
  it('a host on the wire establishes no BGP session with a node’s AS number and identifier', () =>
    arena.unharmed(async () => {
      expect(await attack('stranger')).toEqual(['refused', 'refused']);
      expect(await attack('stranger', true)).toEqual(['refused', 'refused']);
    }));

  it('a host on the wire that forges SYNs and resets from a node ends no session', () =>
    arena.unharmed(() => {
      const packets = Array.from({ length: 2000 }, (_, i) =>
        [SYN, RST].map((flags) =>
          tcp(
            { source: node1[4], destination: node2[4], ttl: 255 },
            { from: 1024 + i * 31, to: 179 },
            { flags, sequence: i * 2_000_003 },
          ),
        ),
      ).flat();
      arena.send('stranger', 'eth0', macOfNode2, packets);
    }));

  it('a host on the wire that forges BFD packets from a node ends no session', async () => {
    arena.lab.apply('BGPConfiguration', 'default', { bfd: {} });
    const isUp = async () => {
      const peers = await Promise.all(arena.nodes.map((node) => arena.status(node)));
      return peers.flatMap(({ bgp }) => bgp.peers).every(({ bfd }) => bfd === 'Up');
    };
    await until('BFD is up', PATIENCE_MS, isUp);
    await arena.worksAsBefore();
    await arena.sessionsAreOld();
    // AdminDown and Down, with Your Discriminator zero, as from a session that has just started.
    const packets = ['20000318', '20400318'].flatMap((start) =>
      [3784, 4784].flatMap((port) =>
        ([4, 6] as const).flatMap((family) =>
          [64, 255].map((ttl) =>
            udp(
              { source: node1[family], destination: node2[family], ttl },
              { from: 49152, to: port },
              Buffer.from(`${start}0badf00d00000000000f4240000f424000000000`, 'hex'),
            ),
          ),
        ),
      ),
    );
    await arena.unharmed(async () => {
      for (let round = 0; round < 20; round++) arena.send('stranger', 'eth0', macOfNode2, packets);
      expect(await isUp()).toBe(true);
    });
    arena.lab.apply('BGPConfiguration', 'default', {});
    await arena.worksAsBefore();
  });

  it('hundreds of open connections from a host on the wire keep no node from its sessions', async () => {
    const program = `const n=require('net');for(let i=0;i<400;i++){const s=n.connect(179,i%2?'${node2[4]}':'${node2[6]}');s.on('error',()=>0)}setTimeout(()=>console.log('open'),500);setInterval(()=>0,1000)`;
    const crowd = arena.lab.follow('stranger', process.execPath, '-e', program);
    await until('the host has opened its connections', PATIENCE_MS, () => crowd.lines.length > 0);
    await arena.lab.ask({ do: 'node kill', name: 'node1' });
    await arena.lab.ask({ do: 'node start', name: 'node1' });
    await arena.worksAsBefore();
    await crowd.stop();
    await arena.sessionsAreOld();
  });

  it('neither a host on the wire nor a pod reaches a node’s metrics or health endpoints', () => {
    const program = (host: string) =>
      `const n=require('net');for(const p of [9091,9099,9098,6060,9094])n.connect(p,'${host}').on('connect',()=>{console.log('open',p);process.exit()}).on('error',()=>0);setTimeout(()=>process.exit(),1500)`;
    for (const place of ['stranger', 'node1-a'])
      for (const host of [node2[4], node2[6]])
        expect(arena.lab.exec(place, process.execPath, '-e', program(host)).stdout).toBe('');
  });
});

describe('a host that holds a node’s address and has poisoned a neighbour entry', () => {
  it('a host with a node’s address establishes no session from beyond a router (GTSM)', async () => {
    // As from another subnet, where packets arrive with a TTL of at most 254.
    arena.setTtl('thief', 254);
    await arena.unharmed(async () => {
      direct('thief');
      expect(await attack('thief')).toEqual(['refused', 'refused']);
      direct('node1');
    });
  });

  it('a host with a node’s address establishes no session if nodeMeshPassword is set', async () => {
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'bgp', namespace: 'kube-system' },
      data: { mesh: Buffer.from('correct horse').toString('base64') },
    };
    const [made] = arena.request({
      method: 'POST',
      path: '/api/v1/namespaces/kube-system/secrets',
      body: secret,
    });
    expect(made!.status).toBe(201);
    arena.lab.apply('BGPConfiguration', 'default', {
      nodeMeshPassword: { secretKeyRef: { name: 'bgp', key: 'mesh' } },
    });
    // A running connection does not become signed; only new ones are.
    for (const name of arena.nodes) {
      await arena.lab.ask({ do: 'node stop', name });
      await arena.lab.ask({ do: 'node start', name });
    }
    await arena.sessionsAreOld();
    arena.setTtl('thief', 255);
    await arena.unharmed(async () => {
      direct('thief');
      expect(await attack('thief')).toEqual(['refused', 'refused']);
      direct('node1');
    });
  });
});

it('pods, nodes and sessions work as before the attacks', () => arena.worksAsBefore());
