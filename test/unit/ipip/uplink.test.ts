import { describe, expect, it } from 'vitest';
import { uplinkMtu } from '../../../ipip/uplink.ts';
import type { Interfaces, Link } from '../../../kernel/port.ts';
import { annotatedNode } from '../../helpers/objects.ts';

const self = annotatedNode('n1', { IPv4Address: '10.0.0.1/24' });
const pattern = /^(en|eth)/;

function interfaces(mtus: Readonly<Record<string, number>>, more: Partial<Link> = {}): Interfaces {
  const links = Object.entries(mtus).map(([name, mtu], index): [string, Link] => [
    name,
    { index, name, mtu, isUp: true, mac: '02:00:00:00:00:01', ...more },
  ]);
  return { links: new Map(links), addresses: [{ device: 'bond0', cidr: '10.0.0.1/24' }] };
}

describe('the MTU of the uplink', () => {
  it('is the smallest of the interfaces that match the pattern', () => {
    expect(uplinkMtu(interfaces({ eth0: 9000, en1: 1500, bond0: 1400 }), self, pattern)).toBe(1500);
  });

  it('is that of the interface with the node’s address when none matches', () => {
    expect(uplinkMtu(interfaces({ wlan0: 1300, bond0: 1400 }), self, pattern)).toBe(1400);
  });

  it('ignores interfaces that are down', () => {
    const down = interfaces({ eth0: 1300 }, { isUp: false });
    const up = interfaces({ bond0: 1400 });
    const both = { links: new Map([...down.links, ...up.links]), addresses: up.addresses };
    expect(uplinkMtu(both, self, pattern)).toBe(1400);
  });

  it('is Calico’s default when no interface has the node’s address', () => {
    expect(uplinkMtu(interfaces({ wlan0: 1300 }), self, pattern)).toBe(1460);
  });
});
