import { expect, it } from 'vitest';
import { Problems } from '../../../felix/dataplane/problems.ts';
import type { Summary } from '../../../felix/dataplane/summary.ts';
import { silentLog } from '../../../lib/log.ts';

const sentence = (text: string, isPassing = false): Summary => ({ text, isPassing });
const lasting = sentence('no permission');
const passing = sentence('cali1 is missing', true);

it('a kernel problem is logged once, when the second attempt still finds it', () => {
  const told: unknown[] = [];
  const problems = new Problems({ ...silentLog, warn: (fields) => told.push(fields) });
  expect(problems.update([sentence('ip route add: File exists')])).toBe(true);
  expect(problems.update([])).toBe(false);
  expect(problems.update([lasting, passing])).toBe(true);
  expect(told).toEqual([]);
  for (let look = 0; look < 3; look++) expect(problems.update([lasting, passing])).toBe(false);
  expect(told).toEqual([{ problems: ['no permission'] }]);
  // The problem ended and recurred.
  problems.update([]);
  problems.update([lasting]);
  problems.update([lasting]);
  expect(told).toHaveLength(2);
});
