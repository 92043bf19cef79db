import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSameValue } from '../../../lib/same-value.ts';

describe('the comparison of plain data', () => {
  it.each([
    [1, 1, true],
    [1, '1', false],
    [Number.NaN, Number.NaN, true],
    [null, {}, false],
    [{ a: undefined }, {}, true],
    [{ a: 1 }, { a: 1, b: 2 }, false],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
    [[1, 2], [1, 2], true],
    [[1, 2], [2, 1], false],
    [[1], [1, 2], false],
    [[], {}, false],
    [{}, [], false],
    [{ hops: [{ device: 'eth0' }] }, { hops: [{ device: 'eth1' }] }, false],
  ])('of %j and %j is %s', (a, b, expected) => expect(isSameValue(a, b)).toBe(expected));

  it('agrees with isDeepStrictEqual for JSON', () => {
    const value = fc.jsonValue({ maxDepth: 3, noUnicodeString: true });
    // Without -0, which JSON cannot write.
    const plain = value.map((one) => JSON.parse(JSON.stringify(one)) as unknown);
    fc.assert(
      fc.property(plain, plain, (a, b) => {
        expect(isSameValue(a, b)).toBe(isDeepStrictEqual(a, b));
        expect(isSameValue(a, structuredClone(a))).toBe(true);
      }),
    );
  });
});
