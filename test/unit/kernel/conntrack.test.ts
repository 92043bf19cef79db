import { expect, it } from 'vitest';
import { addressesIn, linkLocalSources } from '../../../kernel/conntrack.ts';

const row = (source: string) =>
  `tcp      6 431999 ESTABLISHED src=${source} dst=10.96.0.1 sport=1 dport=443 src=172.18.0.1 dst=${source} [ASSURED]`;

it('connections are found by an address on either side of either direction', async () => {
  const found = await addressesIn([row('10.1.0.5'), 'x', row('fd00::1')], new Set(['10.1.0.5', '10.9.9.9']));
  expect([...found]).toEqual(['10.1.0.5']);
});

it('connections masqueraded to a link-local address are found by that address', async () => {
  const udp = (source: string, answered: string) =>
    `udp 17 29 src=${source} dst=fd00::13 sport=7 dport=7 [UNREPLIED] src=fd00::13 dst=${answered} sport=7 dport=41660`;
  const rows = [
    udp('fd00:10::1', 'fe80::ecee:eeff:feee:eeee'),
    udp('fd00:10::2', 'fd00::11'),
    udp('fe80::1', 'fe80::1'),
    'x',
  ];
  expect([...(await linkLocalSources(rows))]).toEqual(['fe80::ecee:eeff:feee:eeee']);
});
