import { expect, it } from 'vitest';
import { concerns, isMasqueradedToLinkLocal } from '../../../kernel/conntrack.ts';
import type { Connection } from '../../../kernel/netlink/nfnetlink/connection.ts';

const UDP = 17;

function connection(source: string, destination: string, answeredTo = source): Connection {
  return {
    family: 6,
    original: { source, destination, protocol: UDP },
    reply: { source: destination, destination: answeredTo, protocol: UDP },
    status: 0,
    mark: 0,
  };
}

it('A connection concerns an address on either side of either direction.', () => {
  const found = (one: Connection, address: string) => concerns(one, new Set([address, '10.9.9.9']));
  const translated = connection('10.1.0.5', '10.96.0.1', '172.18.0.1');
  for (const address of ['10.1.0.5', '10.96.0.1', '172.18.0.1'])
    expect(found(translated, address)).toBe(true);
  expect(found(translated, '10.1.0.6')).toBe(false);
});

it('A connection that is masqueraded to a link-local address is recognized.', () => {
  const isFound = isMasqueradedToLinkLocal;
  expect(isFound(connection('fd00:10::1', 'fd00::13', 'fe80::ecee:eeff:feee:eeee'))).toBe(true);
  expect(isFound(connection('fd00:10::2', 'fd00::13', 'fd00::11'))).toBe(false);
  expect(isFound(connection('fe80::1', 'fd00::13'))).toBe(false);
});
