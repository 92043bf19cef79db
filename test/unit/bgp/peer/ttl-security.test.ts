import { expect, it } from 'vitest';
import { checkDistance } from '../../../../bgp/peer/ttl-security.ts';

const from = (ttl: number | undefined) => ({ handshakeTtl: () => ttl });

it('a connection is accepted only from as many hops away as the peer may be (RFC 5082)', () => {
  expect(checkDistance(from(255), 1).isAccepted).toBe(true);
  expect(checkDistance(from(254), 1).isAccepted).toBe(false);
  expect(checkDistance(from(254), 2).isAccepted).toBe(true);
  expect(checkDistance(from(1), undefined).isAccepted).toBe(true);
});

it('one that is too far away is reported with its TTL, and one with an unknown TTL is refused', () => {
  expect(checkDistance(from(64), 1).reason).toMatch(/TTL 64, but ttlSecurity 1 requires 255/);
  expect(checkDistance(from(undefined), 1)).toEqual({ isAccepted: false });
});
