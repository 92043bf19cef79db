import { expect, it } from 'vitest';
import type { Problem } from '../../../felix/dataplane/part.ts';
import * as summary from '../../../felix/dataplane/summary.ts';

const summarise = (problems: readonly Problem[], kind: string) =>
  summary.summarise(problems, kind).map(({ text }) => text);

const many = (count: number, reason: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => ({ object: `route 10.${i}`, reason: reason(i) }));

it('a few routes with a problem are named individually', () => {
  expect(
    summarise(
      many(2, () => 'no route to the next hop'),
      'routes',
    ),
  ).toEqual(['route 10.0: no route to the next hop', 'route 10.1: no route to the next hop']);
});

it('thousands of routes with the same problem give one sentence that does not change with their number', () => {
  const sentence = ['at least 10,000 routes, such as route 10.0: no route to the next hop'];
  expect(
    summarise(
      many(20_000, () => 'no route to the next hop'),
      'routes',
    ),
  ).toEqual(sentence);
  expect(
    summarise(
      many(21_000, () => 'no route to the next hop'),
      'routes',
    ),
  ).toEqual(sentence);
  expect(
    summarise(
      many(5, () => 'martian'),
      'routes',
    ),
  ).toEqual(['several routes, such as route 10.0: martian']);
});

it('thousands of routes with different problems give twenty sentences and one that reports more', () => {
  const sentences = summarise(
    many(20_000, (i) => `no route to the next hop ${i}`),
    'routes',
  );
  expect(sentences).toHaveLength(21);
  expect(sentences[20]).toBe('further routes have problems');
});
