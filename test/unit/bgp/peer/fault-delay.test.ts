import { expect, it } from 'vitest';
import { FaultDelay } from '../../../../bgp/peer/fault-delay.ts';

const HOUR = 3_600_000;

it('each fault within an hour doubles the delay, up to five minutes', () => {
  const delay = new FaultDelay();
  const delays = Array.from({ length: 40 }, (_, second) => delay.next(second * 1_000));
  expect(delays.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
  expect(new Set(delays.slice(9))).toEqual(new Set([300_000]));
});

it('a fault is forgotten after an hour', () => {
  const delay = new FaultDelay();
  delay.next(0);
  delay.next(HOUR - 1);
  expect(delay.next(HOUR)).toBe(2_000);
  expect(delay.next(3 * HOUR)).toBe(1_000);
});
