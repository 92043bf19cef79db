import { describe, expect, it } from 'vitest';
import { ageOf, cellOf, valueAt } from '../../../datastore/columns.ts';

describe('the value at a path', () => {
  const object = {
    spec: { cidr: '10.0.0.0/24', list: [1] },
    metadata: { annotations: { 'a.b/C': 'x' } },
    status: {
      conditions: [null, 'text', { type: 'Ready', status: 'True' }, { type: 'Ready', status: 'Unknown' }],
    },
  };

  it.each([
    ['.spec.cidr', '10.0.0.0/24'],
    ['.metadata.annotations.a\\.b/C', 'x'],
    ['.status.conditions[?(@.type=="Ready")].status', 'True'],
    ['.status.conditions[?(@.type=="Other")].status', undefined],
    ['.spec[?(@.type=="Ready")].status', undefined],
    ['.none.at.all', undefined],
    ['.spec.cidr.length.none', undefined],
  ])('%s is %j', (path, value) => {
    expect(valueAt(object, path)).toEqual(value);
  });

  it.each([undefined, null, 'text', 5, []])('of %j is absent', (value) => {
    expect(valueAt(value, '.spec.cidr')).toBeUndefined();
  });

  it.each(['.constructor', '.__proto__', '.spec.toString'])('%s is not a property of JavaScript', (path) => {
    expect(valueAt(object, path)).toBeUndefined();
  });
});

describe('a cell', () => {
  const cell = (value: unknown, type: 'string' | 'integer' | 'boolean' | 'date' = 'string') =>
    cellOf(
      { apiVersion: 'v1', kind: 'X', metadata: { name: 'x' }, spec: { value } },
      { name: 'V', type, path: '.spec.value' },
      Date.UTC(2026, 0, 1),
    );

  it.each([
    [undefined, ''],
    [null, ''],
    [0, 0],
    [false, false],
    ['', ''],
    [['a', 'b'], '["a","b"]'],
  ])('with %j shows %j', (value, shown) => {
    expect(cell(value)).toBe(shown);
  });

  it('with a date shows its age, and with a date of the future none', () => {
    expect(cell('2025-12-31T23:58:30Z', 'date')).toBe('90s');
    expect(cell('2026-01-01T00:00:30Z', 'date')).toBe('0s');
  });

  it('with text that is not a date shows that the age is unknown, as kubectl does', () => {
    expect(cell('yesterday', 'date')).toBe('<unknown>');
  });
});

it.each([
  [119_999, '119s'],
  [120_000, '2m'],
  [125_000, '2m5s'],
  [599_999, '9m59s'],
  [600_000, '10m'],
  [10_799_999, '179m'],
  [10_800_000, '3h'],
  [172_799_999, '47h'],
  [172_800_000, '2d'],
])('an age of %i ms is %s, as in kubectl', (milliseconds, text) => {
  expect(ageOf(milliseconds)).toBe(text);
});
