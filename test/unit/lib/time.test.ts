import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseDuration } from '../../../lib/duration.ts';
import { systemTime } from '../../../lib/time.ts';

const DAY_MS = 86_400_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a delay of the system clock', () => {
  it.each([1, 24, 25, 30, 416])('of %i days fires once, after that time', (days) => {
    let fired = 0;
    systemTime.after(days * DAY_MS, () => fired++);
    vi.advanceTimersByTime(days * DAY_MS - 1);
    expect(fired).toBe(0);
    vi.advanceTimersByTime(1);
    expect(fired).toBe(1);
    vi.advanceTimersByTime(2 * days * DAY_MS);
    expect(fired).toBe(1);
  });

  it.each([1, 30])('of 60 days can be cancelled after %i days', (days) => {
    let fired = 0;
    const cancel = systemTime.after(60 * DAY_MS, () => fired++);
    vi.advanceTimersByTime(days * DAY_MS);
    cancel();
    vi.advanceTimersByTime(90 * DAY_MS);
    expect(fired).toBe(0);
  });
});

describe('a duration', () => {
  it('is at most what Go can represent, 2^63 - 1 nanoseconds', () => {
    expect(parseDuration('2562047h')).toBe(2_562_047 * 3_600_000);
    for (const text of ['2562048h', '9999999h', `${'9'.repeat(400)}s`])
      expect(parseDuration(text)).toBeUndefined();
  });
});
