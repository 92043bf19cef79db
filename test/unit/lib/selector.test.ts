import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPlain } from '../../../lib/plain-text.ts';
import { parseSelector } from '../../../lib/selector.ts';
import { anyText } from '../../helpers/any-text.ts';

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

describe('a hostile selector', () => {
  const verdict = (text: string, of: Record<string, string> = labels) => {
    const parsed = parseSelector(text);
    return parsed.ok ? parsed.matches(of) : parsed.reason;
  };

  it('with 20,000 parentheses or negations is refused with a reason', () => {
    expect(verdict(`${'('.repeat(20_000)}all()${')'.repeat(20_000)}`)).toBe(
      'it has 40005 characters, more than 4096',
    );
    expect(verdict(`${'('.repeat(2000)}all()${')'.repeat(2000)}`)).toBe('it is nested deeper than 32 levels');
    expect(verdict(`${'!'.repeat(4000)}all()`)).toBe('it is nested deeper than 32 levels');
  });

  it('with 32 levels is parsed', () => {
    expect(verdict(`${'('.repeat(32)}all()${')'.repeat(32)}`)).toBe(true);
    expect(verdict(`${'!'.repeat(32)}has(zone)`)).toBe(true);
  });

  it('with hundreds of terms is parsed', () => {
    expect(verdict(Array(450).fill('all()').join('&&'))).toBe(true);
    expect(verdict(Array(400).fill('!all()').join('||'))).toBe(false);
  });

  it.each(['constructor', 'toString', 'hasOwnProperty', '__proto__', 'valueOf'])(
    'does not treat the inherited property %s as a label',
    (name) => {
      // __proto__ is not a label name: those start with a letter or digit.
      if (name === '__proto__') expect(verdict(`has(${name})`)).toContain('expected a label name');
      else {
        for (const text of [
          `has(${name})`,
          `${name} in {'a'}`,
          `${name} contains 'a'`,
          `${name} starts with 'f'`,
          `${name} ends with '}'`,
          `${name} == 'a'`,
        ])
          expect(verdict(text)).toBe(false);
        expect(verdict(`${name} not in {'a'}`)).toBe(true);
        expect(verdict(`has(${name})`, { [name]: 'a' })).toBe(true);
      }
    },
  );

  it('with any text is a selector, or refused with a short plain reason', () => {
    fc.assert(
      fc.property(anyText(200), (text) => {
        const parsed = parseSelector(text);
        if (parsed.ok) return;
        expect(isPlain(parsed.reason)).toBe(true);
        expect(parsed.reason.length).toBeLessThan(500);
      }),
    );
  });
});
