/** Routes that an attacker announces once it has a BGP session with a node. */
import { announce, inMessages, open, withdraw } from './bgp.ts';

/** Prefixes that no peer may get into a kernel, keyed by what they would affect. */
export const martians = {
  4: {
    loopback: '127.0.0.0/8',
    'the loopback address': '127.0.0.1/32',
    multicast: '224.0.0.0/4',
    'class E': '240.0.0.0/4',
    broadcast: '255.255.255.255/32',
    'the gateway of all pods': '169.254.1.1/32',
    'link-local': '169.254.0.0/16',
    'this network': '0.0.0.0/8',
    'no address': '0.0.0.0/32',
  },
  6: {
    loopback: '::1/128',
    multicast: 'ff00::/8',
    'link-local': 'fe80::/10',
    'no address': '::/128',
    'IPv4-mapped': '::ffff:0:0/96',
  },
} as const;

/** Prefixes that a node of the mesh has no reason to announce. */
export const outside = {
  4: {
    'half of everything': '0.0.0.0/1',
    'the other half': '128.0.0.0/1',
    everything: '0.0.0.0/0',
    'the API server': '172.18.0.1/32',
    'a node': '172.18.0.12/32',
    "the nodes' subnet": '172.18.0.0/24',
    'the outside': '198.51.100.0/24',
    'more than the pool': '10.0.0.0/8',
  },
  6: {
    'half of everything': '::/1',
    everything: '::/0',
    'global unicast': '2000::/3',
    'the API server': 'fd00:172:18::1/128',
    'a node': 'fd00:172:18::12/128',
    'the outside': '2001:db8::/32',
    'more than the pool': 'fd00::/8',
  },
} as const;

/** Useless host routes to flood a kernel with. */
export function many(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `11.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32`);
}

/** The OPEN of a node, and UPDATEs with all these prefixes. */
export function hijack(identifier: string, nextHop: string, more: readonly string[] = []) {
  const family = nextHop.includes(':') ? 6 : 4;
  const prefixes = [...Object.values(martians[family]), ...Object.values(outside[family]), ...more];
  return {
    open: open({ identifier, families: [family] }),
    updates: [
      ...prefixes.map((prefix) => announce([prefix], { nextHop })),
      ...(family === 4 ? [...inMessages(many(20_000), { nextHop }), withdraw(['10.244.0.0/16'])] : []),
    ],
  };
}
