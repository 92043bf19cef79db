import { expect, it } from 'vitest';
import { Problems } from '../../../felix/dataplane/problems.ts';
import { silentLog } from '../../../lib/log.ts';

it('a kernel problem is logged once, when the second attempt still finds it', () => {
  const told: unknown[] = [];
  const problems = new Problems({ ...silentLog, warn: (fields) => told.push(fields) });
  expect(problems.update(['ip route add: File exists'])).toBe(true);
  expect(problems.update([])).toBe(false);
  expect(problems.update(['no permission', 'cali1 is missing'])).toBe(true);
  expect(told).toEqual([]);
  for (let look = 0; look < 3; look++)
    expect(problems.update(['no permission', 'cali1 is missing'])).toBe(false);
  expect(told).toEqual([{ problems: ['no permission'] }]);
  // The problem ended and recurred.
  problems.update([]);
  problems.update(['no permission']);
  problems.update(['no permission']);
  expect(told).toHaveLength(2);
});
