/** Faults A7 and B3: a trusted peer announces routes that it should not, or malformed UPDATEs. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../helpers/lab.ts';
import { Arena, type Attacker, PATIENCE_MS, STRANGER } from './arena.ts';
import { announce, attribute, type Conversation, inMessages, open, update } from './bgp.ts';
import { many, martians, outside } from './hijack.ts';

const node1 = { 4: '172.18.0.11', 6: 'fd00:172:18::11' } as const;
const node3 = { 4: '172.18.0.13', 6: 'fd00:172:18::13' } as const;

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.start(3, '--pods', '1');
  arena.addStranger();
  arena.setTtl('stranger', 255);
  arena.setTtl('node3', 255);
});
afterAll(() => arena?.stop());

const routes = (node: string) => arena.kernel(node).filter((line) => !line.includes('cali'));
const learned = (before: readonly string[], node = 'node1') =>
  routes(node).filter((line) => !before.includes(line));
/** Waits for the route that was announced last: by then, the node has judged all earlier ones. */
const programmed = (prefix: string, node = 'node1') =>
  until(`${prefix} is in the kernel of ${node}`, PATIENCE_MS, () =>
    routes(node).some((line) => line.startsWith(`${prefix} `)),
  );

/** Returns what calictl on node1 shows of a peer, without the flood of 11.0.0.0/8 routes. */
const says = (peer: string) => arena.lab.sh('node1', `calictl bgp neighbor ${peer} | grep -v ' 11[.]'`);

describe('a compromised node in the mesh', () => {
  /** The attacker replaces node3's agent and uses its address and AS number. */
  let before: string[];
  let attackers: Attacker[] = [];
  beforeAll(async () => {
    await arena.lab.ask({ do: 'node stop', name: 'node3' });
    await until('node1 has no session with node3', PATIENCE_MS, async () =>
      (await arena.sessions('node1')).every((line) => !/13 Established/.test(line)),
    );
    before = routes('node1');
  });
  afterAll(async () => {
    for (const attacker of attackers) await attacker.stop();
    await arena.lab.ask({ do: 'node start', name: 'node3' });
    await arena.worksAsBefore();
  });

  async function conquer(family: 4 | 6, updates: readonly string[]): Promise<Attacker> {
    for (const attacker of attackers) await attacker.stop();
    const conversation: Conversation = {
      host: node1[family],
      port: 179,
      open: open({ identifier: node3[4], families: [family] }),
      updates,
    };
    // The attacker may need several attempts, because the node dials as well and is refused.
    let attacker = arena.speak('node3', conversation);
    await until('the attacker has a session', PATIENCE_MS, async () => {
      if (attacker.has('Established')) return true;
      if (attacker.has('closed', 'failed', 'timeout')) {
        await attacker.stop();
        attacker = arena.speak('node3', conversation);
      }
      return false;
    });
    attackers = [attacker];
    return attacker;
  }

  it.each([
    { family: 4, last: '10.244.222.0/26', nextHop: node3[4] },
    { family: 6, last: 'fd00:10:244:77:77::/122', nextHop: node3[6] },
  ] as const)(
    'a compromised node gets only prefixes in the pools into other kernels (IPv$family)',
    async ({ family, last, nextHop }) => {
      const refused = [
        ...Object.values(martians[family]),
        ...Object.values(outside[family]),
        `${node1[family]}/${family === 4 ? 32 : 128}`,
      ];
      const floods = family === 4 ? inMessages(many(20_000), { nextHop }) : [];
      await conquer(family, [
        ...refused.map((prefix) => announce([prefix], { nextHop })),
        ...floods,
        announce([last], { nextHop }),
      ]);
      await programmed(last);
      expect(learned(before)).toEqual([
        expect.stringMatching(new RegExp(`^${last} via ${nextHop} dev eth0 `)),
      ]);
      const shown = says(node3[family]);
      for (const prefix of refused.filter((prefix) => !prefix.startsWith('::ffff')))
        expect(shown).toContain(prefix);
    },
  );

  it('a compromised node gets no route accepted whose next hop is not a host of the cluster', async () => {
    const hops = [
      ...['127.0.0.1', '224.0.0.1', '0.0.0.0', '255.255.255.255', node1[4]],
      // The default route would lead to these: an arbitrary host could answer.
      ...['169.254.169.254', '8.8.8.8'],
    ];
    const nextHop = node3[4];
    await conquer(4, [
      ...hops.map((hop, i) => announce([`10.244.${230 + i}.0/26`], { nextHop: hop })),
      announce(['10.244.222.0/26'], { nextHop }),
    ]);
    await programmed('10.244.222.0/26');
    expect(learned(before)).toEqual([expect.stringMatching(/^10\.244\.222\.0\/26 via 172\.18\.0\.13 /)]);
  });

  it('a compromised node cannot extend the accepted ranges with an IPAMBlock', async () => {
    const planted = ['172.18.0.10/32', '172.18.0.12/32', '172.18.0.64/26', '8.0.0.0/8'];
    const nextHop = node3[4];
    const name = (cidr: string) => cidr.replace(/[./]/g, '-');
    for (const cidr of planted)
      arena.lab.apply('IPAMBlock', name(cidr), {
        cidr,
        affinity: 'host:node3',
        allocations: [],
        unallocated: [],
        attributes: [],
      });
    await conquer(4, [
      ...planted.map((prefix) => announce([prefix], { nextHop })),
      announce(['10.244.222.0/26'], { nextHop }),
    ]);
    await programmed('10.244.222.0/26');
    expect(learned(before)).toEqual([expect.stringMatching(/^10\.244\.222\.0\/26 via 172\.18\.0\.13 /)]);
    for (const cidr of planted) arena.lab.exec('node1', 'calictl', 'delete', 'ipamblock', name(cidr));
  });

  it('a compromised node cannot attract a pod’s traffic from the pod’s own node', async () => {
    const pod = await arena.address('node1-a', 4);
    await conquer(4, [
      announce([`${pod}/32`], { nextHop: node3[4] }),
      announce(['10.244.222.0/26'], { nextHop: node3[4] }),
    ]);
    await programmed('10.244.222.0/26');
    expect(arena.lab.sh('node1', `ip route show ${pod}`)).toMatch(/^\S+ dev cali\w+ /);
  });
});

describe('a BGPPeer that attacks the cluster', () => {
  let before: string[];
  let attacker: Attacker | undefined;
  beforeAll(async () => {
    before = routes('node1');
    arena.lab.apply('BGPPeer', 'outside', { peerIP: STRANGER[4], asNumber: 65066, node: 'node1' });
    await until('node1 has the peer', PATIENCE_MS, async () =>
      (await arena.sessions('node1')).some((line) => line.startsWith(STRANGER[4])),
    );
  });
  afterAll(async () => {
    await attacker?.stop();
    arena.lab.exec('node1', 'calictl', 'delete', 'bgppeer', 'outside');
  });

  const nextHop = STRANGER[4];
  const asPath = [65066];

  async function conquer(updates: readonly string[], isTwoOctet = false): Promise<void> {
    await attacker?.stop();
    const start = () =>
      arena.speak('stranger', {
        host: node1[4],
        port: 179,
        open: open({ asNumber: 65066, identifier: '172.18.0.66', isTwoOctet, hasExtendedMessages: true }),
        updates,
      });
    let current = start();
    await until('the attacker has a session', PATIENCE_MS, async () => {
      if (current.has('Established')) return true;
      if (current.has('closed', 'failed', 'timeout')) {
        await current.stop();
        current = start();
      }
      return false;
    });
    attacker = current;
  }

  it('a BGPPeer may announce outside prefixes, but no martian, no address of the node and no second default route', async () => {
    const refused = [...Object.values(martians[4]), '0.0.0.0/0', `${node1[4]}/32`];
    await conquer([
      ...refused.map((prefix) => announce([prefix], { nextHop, asPath })),
      announce(['203.0.113.0/24'], { nextHop, asPath }),
    ]);
    await programmed('203.0.113.0/24');
    expect(learned(before)).toEqual([
      expect.stringMatching(/^203\.0\.113\.0\/24 via 172\.18\.0\.66 dev eth0 /),
    ]);
    expect(arena.lab.sh('node1', 'ip route show default')).toBe(
      arena.lab.sh('node2', 'ip route show default'),
    );
    const shown = says(STRANGER[4]);
    for (const prefix of refused) expect(shown).toContain(prefix);
  });

  it('an UPDATE that is too long to re-advertise ends no process and no other session', async () => {
    const pids = async () => Promise.all(arena.nodes.map(async (node) => (await arena.status(node)).pid));
    const others = async () =>
      (await Promise.all(arena.nodes.map((node) => arena.sessions(node))))
        .flat()
        .filter((line) => !line.startsWith(nextHop));
    const [processes, sessions] = [await pids(), await others()];
    // 100 segments of 255 AS numbers in two octets each: twice as long once converted to four octets.
    const path = `02ff${'fde9'.repeat(255)}`.repeat(100).replace(/^02fffde9/, '02fffe2a');
    const hop = `400304${'ac120042'}`;
    await conquer(
      [
        update('', `40010100${attribute('40', 2, path)}${hop}`, '18cb0072'),
        // A huge unknown transitive attribute, which a speaker must pass on.
        update(
          '',
          `40010100${attribute('40', 2, '0201fe2a')}${hop}${attribute('c0', 240, '00'.repeat(60_000))}`,
          '18cb0073',
        ),
        update(
          '',
          `40010100${attribute('40', 2, '0201fe2a')}${hop}${attribute('c0', 8, 'fe2a0001'.repeat(15_000))}`,
          '18cb0074',
        ),
        update('', `40010100${attribute('40', 2, '0201fe2a')}${hop}`, '18cb0071'),
      ],
      true,
    );
    await programmed('203.0.113.0/24');
    expect(await pids()).toEqual(processes);
    expect(await others()).toEqual(sessions);
    await arena.worksAsBefore();
  });
});

it('pods, nodes and sessions work as before the attacks', () => arena.worksAsBefore());
