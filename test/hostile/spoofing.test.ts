/** Faults A4 and A5: a pod sends packets with forged source addresses, or to its node's loopback. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Arena, PORT, podLink, STRANGER } from './arena.ts';
import { echo, type Header, icmpv6, SYN, tcp, udp } from './packets.ts';

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.start(2, '--pods', '2');
  arena.addStranger();
});
afterAll(() => arena?.stop());

/** Returns addresses that are not the pod's, keyed by what they are. */
async function foreignSources(family: 4 | 6): Promise<Record<string, string>> {
  const others = {
    'a pod of the same node': await arena.address('node1-b', family),
    'a pod of another node': await arena.address('node2-b', family),
  };
  const fixed =
    family === 4
      ? {
          'its own node': '172.18.0.11',
          'another node': '172.18.0.12',
          'the API server': '172.18.0.1',
          'a host outside': '198.51.100.7',
          loopback: '127.0.0.1',
          'its gateway': '169.254.1.1',
          'link-local': '169.254.9.9',
          multicast: '224.0.0.5',
          broadcast: '255.255.255.255',
          'no address': '0.0.0.0',
          'class E': '240.0.0.1',
        }
      : {
          'its own node': 'fd00:172:18::11',
          'another node': 'fd00:172:18::12',
          'the API server': 'fd00:172:18::1',
          'a host outside': '2001:db8::7',
          loopback: '::1',
          'its gateway': 'fe80::ecee:eeff:feee:eeee',
          'link-local': 'fe80::9',
          multicast: 'ff02::5',
          'no address': '::',
          'an IPv4-mapped address': '::ffff:172.18.0.12',
        };
  return { ...others, ...fixed };
}

const spoofed = (sources: Readonly<Record<string, string>>, destination: string) =>
  Object.fromEntries(
    Object.entries(sources).flatMap(([name, source]) => [
      [`UDP as ${name}`, udp({ source, destination }, { to: PORT }, `UDP as ${name}`)],
      [`echo as ${name}`, echo({ source, destination }, `echo as ${name}`)],
    ]),
  );

async function whatArrives(family: 4 | 6, target: string, observe: 'listen' | 'serve', destination: string) {
  const source = await arena.address('node1-a', family);
  const observer = await (observe === 'listen' ? arena.listen(target, 'eth0') : arena.serve(target));
  const packets = spoofed(await foreignSources(family), destination);
  return arena.arrived(podLink('node1-a'), observer, packets, { source, destination });
}

const setNat = (isOn: boolean) => {
  for (const family of ['ipv4', 'ipv6'])
    expect(
      arena.patch(`/apis/projectcalico.org/v3/ippools/default-${family}-ippool`, {
        spec: { natOutgoing: isOn },
      }).status,
    ).toBe(200);
};

describe.each([
  ['with pools that masquerade', true],
  ['with pools that use neither a tunnel nor NAT', false],
] as const)('a pod that forges its source address, %s', (_, isNat) => {
  beforeAll(() => setNat(isNat));

  it.each([4, 6] as const)(
    'a pod with a forged source reaches no pod on its node (IPv%i)',
    async (family) => {
      const destination = await arena.address('node1-b', family);
      expect(await whatArrives(family, 'node1-b', 'listen', destination)).toEqual([]);
    },
  );

  it.each([4, 6] as const)(
    'a pod with a forged source reaches no pod on another node (IPv%i)',
    async (family) => {
      const destination = await arena.address('node2-a', family);
      expect(await whatArrives(family, 'node2-a', 'listen', destination)).toEqual([]);
    },
  );

  it.each([4, 6] as const)(
    'a pod with a forged source reaches no service on its own node (IPv%i)',
    async (family) => {
      const destination = family === 4 ? '172.18.0.11' : 'fd00:172:18::11';
      expect(await whatArrives(family, 'node1', 'serve', destination)).toEqual([]);
    },
  );

  it.each([4, 6] as const)(
    'a pod with a forged source reaches no host outside the cluster (IPv%i)',
    async (family) => {
      // Without masquerading, packets would reach the stranger even though it has no route back.
      expect(await whatArrives(family, 'stranger', 'listen', STRANGER[family])).toEqual([]);
    },
  );
});

describe('a pod that sends packets to its node’s loopback', () => {
  const toLoopback = (source: string): Record<string, Buffer> => ({
    'UDP to 127.0.0.1': udp({ source, destination: '127.0.0.1' }, { to: PORT }, 'UDP to 127.0.0.1'),
    'UDP to 127.0.0.53': udp({ source, destination: '127.0.0.53' }, { to: PORT }, 'UDP to 127.0.0.53'),
    'from loopback': udp({ source: '127.0.0.1', destination: '127.0.0.1' }, { to: PORT }, 'from loopback'),
  });

  it('a pod reaches no service that its node runs on 127.0.0.0/8', async () => {
    const source = await arena.address('node1-a', 4);
    const fence: Header = { source, destination: '172.18.0.11' };
    const server = await arena.serve('node1');
    expect(await arena.arrived(podLink('node1-a'), server, toLoopback(source), fence)).toEqual([]);
  });

  it('a pod reaches no service that its node runs on ::1', async () => {
    const source = await arena.address('node1-a', 6);
    const server = await arena.serve('node1');
    const packets = { 'UDP to ::1': udp({ source, destination: '::1' }, { to: PORT }, 'UDP to ::1') };
    const fence = { source, destination: 'fd00:172:18::11' };
    expect(await arena.arrived(podLink('node1-a'), server, packets, fence)).toEqual([]);
  });

  it('a pod that sends a SYN to 127.0.0.1 on its node gets no answer', async () => {
    const source = await arena.address('node1-a', 4);
    const listener = await arena.listen('node1-a', 'eth0');
    // The agent's health port, and a closed port.
    const packets = [9099, 4].map((to) => tcp({ source, destination: '127.0.0.1' }, { to }, { flags: SYN }));
    const fence = echo({ source, destination: '172.18.0.11' }, 'the last question');
    arena.send('node1-a', 'eth0', podLink('node1-a').mac, [...packets, fence]);
    const from = (address: string) =>
      listener.lines.filter((line) => line.startsWith(`in 45`) && line.slice(27, 35) === address);
    await expect.poll(() => from('ac12000b').length, { timeout: 250_000 }).toBe(1);
    expect(from('7f000001')).toEqual([]);
    await listener.stop();
  });
});

describe('a pod that poses as a router', () => {
  it('a router advertisement from a pod changes no route on its node', async () => {
    await arena.unharmed(async () => {
      const { lines } = arena.lab.follow('node1', 'ip', '-6', 'monitor', 'route');
      // Lifetime 1800 s, and a prefix 2001:db8:bad::/64 on link, autonomous (RFC 4861 section 4.2, RFC 4862).
      const body = Buffer.from(
        '86000000400007080000000000000000030440c0000151800001518000000000 20010db80bad00000000000000000000'.replace(
          ' ',
          '',
        ),
        'hex',
      );
      const header = { source: 'fe80::9', destination: 'ff02::1', ttl: 255 };
      arena.send('node1-a', 'eth0', podLink('node1-a').mac, [icmpv6(header, body)]);
      await arena.worksAsBefore();
      expect(lines.filter((line) => line.includes('2001:db8:bad'))).toEqual([]);
    });
  });
});

it('pods, nodes and sessions work as before the attacks', () => arena.worksAsBefore());
