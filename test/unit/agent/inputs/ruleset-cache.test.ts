import { expect, it } from 'vitest';
import { RulesetCache } from '../../../../agent/inputs/ruleset-cache.ts';
import type { Ruleset } from '../../../../felix/calc/ruleset.ts';

const ruleset = (port: number): Ruleset => ({ guard: [], whole: [`tcp dport ${port} drop`], nat: [] });

it('a ruleset is calculated only after an input changed', () => {
  const cache = new RulesetCache();
  const first = cache.current(() => ruleset(179));
  expect(cache.current(() => ruleset(1790))).toBe(first);
  cache.invalidate();
  expect(cache.current(() => ruleset(1790))).not.toBe(first);
});

it('a ruleset with the same text stays the same object', () => {
  const cache = new RulesetCache();
  const first = cache.current(() => ruleset(179));
  cache.invalidate();
  expect(cache.current(() => ruleset(179))).toBe(first);
});

it('a failed calculation keeps the last ruleset and is repeated', () => {
  const cache = new RulesetCache();
  const first = cache.current(() => ruleset(179));
  cache.invalidate();
  const fail = () => {
    throw new Error('oops');
  };
  expect(() => cache.current(fail)).toThrow('oops');
  expect(cache.last).toBe(first);
  expect(() => cache.current(fail)).toThrow('oops');
});
