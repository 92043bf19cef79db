import { describe, expect, it } from 'vitest';
import { netlinkDatagram, tryNetlink } from '../../../fuzz/netlink.ts';
import { Random } from '../../../fuzz/random.ts';

/** `npm run fuzz` tries millions. */
describe('hostile datagrams', () => {
  it('20,000 changed and cut datagrams are decoded or refused, never thrown at.', () => {
    const random = new Random(14);
    const outcomes = { valid: 0, malformed: 0 };
    for (let i = 0; i < 20_000; i++) {
      const bytes = netlinkDatagram(random);
      try {
        outcomes[tryNetlink(bytes) ? 'valid' : 'malformed']++;
      } catch (error) {
        throw new Error(`datagram ${Buffer.from(bytes).toString('hex')}`, { cause: error });
      }
    }
    expect(outcomes.valid).toBeGreaterThan(10_000);
    expect(outcomes.malformed).toBeGreaterThan(2_000);
  });
});
