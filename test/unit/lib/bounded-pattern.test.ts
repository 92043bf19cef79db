import { describe, expect, it } from 'vitest';
import { boundedPattern } from '../../../lib/bounded-pattern.ts';

describe('a pattern for interface names', () => {
  it.each<[string, string, boolean]>([
    ['^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)', 'enp0s3', true],
    ['^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)', 'docker0', false],
    ['^(bond|team)\\d+(\\.\\d+)?$', 'bond0.100', true],
    ['^eth[+*]?$', 'eth*', true],
    ['^eth\\*$', 'eth*', true],
    ['(?:eno|ens)[0-9]+', 'ens3', true],
  ])('%s is accepted, and matches %s: %s', (text, name, expected) => {
    const pattern = boundedPattern(text);
    expect(pattern).toBeInstanceOf(RegExp);
    expect((pattern as RegExp).test(name)).toBe(expected);
  });

  it.each<[string, RegExp]>([
    ['(a+)+$', /repeat a group/],
    ['(a|a)*b', /repeat a group/],
    ['(a){1,9}b', /repeat a group/],
    ['a*a*a*a*a*a*a*a*a*b', /at most 8 repetitions/],
    ['(.)\\1', /back reference/],
    ['(?=a)a', /lookaround/],
    ['(?<=a)a', /lookaround/],
    ['(?<n>a)', /named group/],
    ['(', /regular expression/],
    ['[', /regular expression/],
    ['a'.repeat(1 << 20), /at most 256 characters/],
  ])('%.40j is refused with a reason', (text, reason) => {
    expect(boundedPattern(text)).toMatch(reason);
  });
});
