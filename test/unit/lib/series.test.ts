/** Series that are read at each scrape have the text that prom-client would write. */
import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { Boundary } from '../../../lib/boundary.ts';
import { exposition } from '../../../lib/exposition.ts';
import { silentLog } from '../../../lib/log.ts';
import { exposeCounter, exposeGauge, type Reading, type Series } from '../../../lib/series.ts';

const shared = { peer: '10.0.0.1', peer_node: '' };
const cases: Record<string, Omit<Series, 'name'>> = {
  number: { help: 'A number', read: () => 1.5e-7 },
  escaped_help: { help: 'A \\ and a\nnew line', read: () => 0 },
  no_reading: { help: 'Without labels, 0', read: () => [] },
  no_labelled_reading: { help: 'With labels, nothing', labels: ['a'], read: () => [] },
  odd_labels: {
    help: 'Text of others',
    labels: ['a', 'b'],
    read: () => [
      [{ a: 'quote " backslash \\ line\n', b: 'é' }, 1],
      [{ a: '', b: '2' }, 1e21],
    ],
  },
  added_up: {
    help: 'Equal labels add up',
    labels: ['family'],
    read: () => [1, 2, 3].map((value): Reading => [{ family: `ipv${4 + (value % 2)}` }, value]),
  },
  shared_labels: {
    help: 'One object for several values',
    labels: ['peer', 'peer_node', 'family'],
    read: () => [
      [shared, 1],
      [{ ...shared, family: 'ipv4' }, 2],
      [shared, 3],
    ],
  },
};

it.each([
  ['gauge', exposeGauge],
  ['counter', exposeCounter],
] as const)('each %s has the text that prom-client would write', async (_, expose) => {
  const registry = new Registry();
  for (const [name, series] of Object.entries(cases)) expose(registry, { name, ...series });
  const { body } = await exposition(registry, new Boundary(silentLog));
  expect(body.trimEnd()).toBe((await registry.metrics()).trimEnd());
  expect(body).toContain('shared_labels{peer="10.0.0.1",peer_node=""} 4');
});

it('a value that its type cannot have leaves out this series only', async () => {
  const registry = new Registry();
  exposeGauge(registry, { name: 'broken', help: 'x', read: () => Number.NaN });
  exposeCounter(registry, { name: 'falling', help: 'x', read: () => -1 });
  exposeGauge(registry, { name: 'good', help: 'x', read: () => -1 });
  const boundary = new Boundary(silentLog);
  const { body } = await exposition(registry, boundary);
  expect(body).not.toMatch(/broken|falling/);
  expect(body).toContain('good -1');
  expect(boundary.faults()).toHaveLength(2);
});
