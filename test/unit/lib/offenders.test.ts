import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findOffenders, type World } from '../../../lib/offenders.ts';

const kinds = ['Node', 'IPPool', 'BGPPeer', 'Service'];

/** A world of numbered values, some of which throw. */
const planted = fc
  .record({
    sizes: fc.tuple(...kinds.map(() => fc.nat({ max: 200 }))),
    picks: fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 4 }),
  })
  .map(({ sizes, picks }) => {
    const world: World<string> = Object.fromEntries(
      kinds.map((kind, k) => [kind, Array.from({ length: sizes[k]! }, (_, i) => `${kind}${i}`)]),
    );
    const all = Object.values(world).flat();
    const throwers = new Set(all.length === 0 ? [] : picks.map(([a]) => all[a % all.length]!));
    return { world, throwers };
  });

describe('the search for values that make a calculation throw', () => {
  it('finds exactly the planted ones in few tries, whatever their number and kind', () => {
    fc.assert(
      fc.property(planted, ({ world, throwers }) => {
        let tries = 0;
        const found = findOffenders(world, (candidate) => {
          tries++;
          return Object.values(candidate).some((values) => values.some((value) => throwers.has(value)));
        });
        expect(new Set(found?.map(({ value }) => value))).toEqual(throwers);
        expect(tries).toBeLessThanOrEqual(1 + kinds.length + throwers.size * 9);
      }),
      { numRuns: 500 },
    );
  });

  it('preserves the order of the others, and names the kind', () => {
    const world = { A: [3, 1, 2], B: [9, 8] };
    const seen: World<number>[] = [];
    const found = findOffenders(world, (candidate) => {
      seen.push(candidate);
      return candidate['B']!.includes(9);
    });
    expect(found).toEqual([{ kind: 'B', value: 9 }]);
    expect(seen.at(-1)).toEqual({ A: [3, 1, 2], B: [8] });
  });

  it('names one of two values that throw only together', () => {
    const found = findOffenders(
      { A: ['a', 'x'], B: ['b', 'y'] },
      ({ A, B }) => A!.includes('x') && B!.includes('y'),
    );
    expect(found).toEqual([{ kind: 'B', value: 'y' }]);
  });

  it('gives up if the calculation throws without them, for an essential one, or at random', () => {
    const world = { A: Array.from({ length: 100 }, (_, i) => i) };
    expect(findOffenders(world, () => true)).toBeUndefined();
    expect(
      findOffenders(world, ({ A }) => A!.includes(7), { isEssential: (_, value) => value === 7 }),
    ).toBeUndefined();
    let calls = 0;
    expect(findOffenders(world, () => calls++ % 3 === 1)?.length ?? 0).toBeLessThan(400);
    expect(calls).toBeLessThanOrEqual(400);
  });
});
