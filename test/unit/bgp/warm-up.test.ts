import { expect, it } from 'vitest';
import { warmUp } from '../../../bgp/warm-up.ts';

it('the warm-up runs the whole path of an UPDATE: another client receives every announcement and withdrawal', () => {
  // 1,000 attribute sets need an UPDATE each. Prefixes of 250 UPDATEs at a time are withdrawn, in 4,096 octets each.
  expect(warmUp()).toBe(1000 + 4 * Math.ceil((250 * 10 * 5) / 4096));
});
