import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { jsonPatch, mergePatch, patchTypes } from '../../../datastore/embedded/patch.ts';
import { parseSelectors } from '../../../datastore/embedded/selectors.ts';

const object = () => ({ metadata: { name: 'x', labels: { a: '1' } }, list: [1, 2] });

describe('a patch', () => {
  afterEach(() => {
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it.each(['/__proto__/polluted', '/constructor/prototype/polluted', '/metadata/__proto__/polluted'])(
    'at %s does not change properties that every object inherits',
    (path) => {
      for (const op of ['add', 'replace'])
        expect(() => jsonPatch(object(), [{ op, path, value: true }])).toThrow(RangeError);
    },
  );

  it('with __proto__ sets at most a field of that name', () => {
    const patch = JSON.parse('{"__proto__":{"polluted":true},"metadata":{"__proto__":{"polluted":true}}}');
    for (const type of Object.values(patchTypes)) {
      if (type.length === 0) continue;
      try {
        const result = type(object(), patch);
        expect((result as { polluted?: unknown }).polluted).toBeUndefined();
      } catch (error) {
        expect(error).toBeInstanceOf(SyntaxError);
      }
    }
    expect((mergePatch(object(), patch) as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it.each(['/list/-1', '/list/1e9', '/list/01', '/list/999999999', '/list/x', '/list/', 'list/0'])(
    'at %s is refused',
    (path) => {
      expect(() => jsonPatch(object(), [{ op: 'add', path, value: 3 }])).toThrow(
        /index of a list|start with/,
      );
    },
  );

  it('inserts elements at the place that the path names', () => {
    expect(jsonPatch(object(), [{ op: 'add', path: '/list/1', value: 9 }])).toMatchObject({
      list: [1, 9, 2],
    });
    expect(jsonPatch(object(), [{ op: 'add', path: '/list/-', value: 9 }])).toMatchObject({
      list: [1, 2, 9],
    });
    expect(jsonPatch(object(), [{ op: 'remove', path: '/list/0' }])).toMatchObject({ list: [2] });
  });

  it('with any operations returns a result, a SyntaxError or a RangeError', () => {
    const name = fc.constantFrom(
      'metadata',
      'labels',
      'list',
      '__proto__',
      'constructor',
      '-',
      '0',
      '9',
      '~1',
      '',
    );
    const path = fc.array(name, { maxLength: 4 }).map((parts) => parts.map((part) => `/${part}`).join(''));
    const operation = fc.record({
      op: fc.constantFrom('add', 'replace', 'remove', 'test', 'move', 'copy', 'x'),
      path,
      from: path,
      value: fc.jsonValue({ maxDepth: 2 }),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 4 }), (operations) => {
        try {
          jsonPatch(object(), JSON.parse(JSON.stringify(operations)));
        } catch (error) {
          expect(error instanceof SyntaxError || error instanceof RangeError).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('selectors of the API', () => {
  const one = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'x', labels: { a: '1' } } };

  it.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'do not treat the inherited property %s as a label',
    (name) => {
      expect(parseSelectors(name, null)(one)).toBe(false);
      expect(parseSelectors(`!${name}`, null)(one)).toBe(true);
      expect(parseSelectors(`${name} in (a)`, null)(one)).toBe(false);
      expect(parseSelectors(null, `metadata.${name}=`.replaceAll('_', ''))(one)).toBe(true);
    },
  );

  it('of excessive length are refused', () => {
    expect(() => parseSelectors('('.repeat(100_000), null)).toThrow(SyntaxError);
  });
});
