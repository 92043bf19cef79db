import { expect, it } from 'vitest';
import { correct, correctRoutes, ProvisionalNames } from '../../../../kernel/netlink/provisional-names.ts';
import { kernelRoute } from '../../../helpers/kernel-route.ts';

it('Names that were unknown, renamed or reused are corrected; an interface that is gone keeps its number.', () => {
  const names = new ProvisionalNames(
    new Map([
      [1, 'lo'],
      [2, 'eth0'],
      [3, 'gone0'],
    ]),
  );
  const before = [1, 2, 3, 9].map((index) => ({ index, device: names.of(index) ?? '' }));
  // eth0 became lan0, and a new interface took its name.
  const corrections = names.corrections(
    new Map([
      [1, 'lo'],
      [2, 'lan0'],
      [9, 'eth0'],
    ]),
  );
  expect(correct(before, corrections).map(({ device }) => device)).toEqual(['lo', 'lan0', 'if3', 'eth0']);
  const routes = before.map(({ device }) => kernelRoute('10.0.0.0/26', { dev: device }));
  expect(correctRoutes(routes, corrections).map(({ hops }) => hops[0]?.device)).toEqual([
    'lo',
    'lan0',
    'if3',
    'eth0',
  ]);
});

it('Objects are returned as they are when all names were right.', () => {
  const known = new Map([[1, 'lo']]);
  const names = new ProvisionalNames(known);
  const objects = [{ device: names.of(1) ?? '' }];
  expect(correct(objects, names.corrections(known))).toBe(objects);
});
