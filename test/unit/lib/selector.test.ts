import { describe, expect, it } from 'vitest';
import { parseSelector } from '../../../lib/selector.ts';

const labels = { zone: 'a', role: 'web-frontend', 'projectcalico.org/kind': 'node' };

describe('selectors', () => {
  it.each<[string, boolean]>([
    ['', true],
    ['all()', true],
    ["zone == 'a'", true],
    ['zone == "b"', false],
    ["zone != 'b'", true],
    ["missing != 'b'", true],
    ['has(zone)', true],
    ['!has(zone)', false],
    ["zone in {'a', 'b'}", true],
    ["zone not in {'a', 'b'}", false],
    ["role contains 'front'", true],
    ["role starts with 'web'", true],
    ["role ends with 'web'", false],
    ["zone == 'b' || has(role) && zone == 'a'", true],
    ["!(zone == 'a' || zone == 'b')", false],
    ["projectcalico.org/kind == 'node'", true],
  ])('%s is %s', (text, expected) => {
    const parsed = parseSelector(text);
    expect(parsed.ok && parsed.matches(labels)).toBe(expected);
  });

  it.each<[string, RegExp]>([
    ['zone ==', /ends where a quoted value is expected/],
    ['zone == a', /must be in quotes/],
    ["zone = 'a'", /unexpected/],
    ["zone like 'a'", /not an operator/],
    ["(zone == 'a'", /expected "\)"/],
    ['global()', /only in the namespaceSelector of a policy rule/],
    ["zone == 'a' zone", /unexpected "zone"/],
  ])('%s is refused with a reason', (text, reason) => {
    const parsed = parseSelector(text);
    expect(parsed).toMatchObject({ ok: false, reason: expect.stringMatching(reason) });
  });
});
