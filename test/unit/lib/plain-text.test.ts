import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bounded } from '../../../lib/log-fields.ts';
import { assertPlain, escapeForJson, forTerminal, isPlain, printable } from '../../../lib/plain-text.ts';
import { boxTable, plainTable } from '../../../lib/table.ts';
import { anyText } from '../../helpers/any-text.ts';

const hostile = {
  'a line break': 'a\nb',
  'a carriage return': 'a\rb',
  NUL: 'a\0b',
  ESC: 'a\u001b[2Jb',
  DEL: 'a\u007fb',
  'C1 CSI': 'a\u009b2Jb',
  'U+2028': 'a\u2028b',
  'U+2029': 'a\u2029b',
  'a right-to-left override': 'a\u202eb',
  'a right-to-left isolate': 'a\u2067b',
  'an Arabic letter mark': 'a\u061cb',
  'a high surrogate alone': 'a\ud83d',
  'a low surrogate alone': '\ude00b',
};

describe('plain text', () => {
  it.each(Object.entries(hostile))('cannot contain %s, which is shown escaped', (_, text) => {
    expect(isPlain(text)).toBe(false);
    expect(() => assertPlain(text, 'route')).toThrow(/^route: has the control character U\+[0-9A-F]{4}/);
    expect(isPlain(printable(text))).toBe(true);
  });

  it('can contain letters of any script, quotes and emoji', () => {
    for (const text of ['', 'eth0.100', 'Grüße', 'كاليكو', '😀', `"'\`;$()`]) {
      expect(isPlain(text)).toBe(true);
      expect(printable(text)).toBe(text);
    }
  });

  it('is shortened without splitting a character, and states the original length', () => {
    expect(printable('x'.repeat(1 << 20), 10)).toBe('xxxxxxxxxx… (1048576 characters)');
    expect(printable('abc😀def', 4)).toBe('abc… (8 characters)');
  });

  it('represents any text in bounded length', () => {
    fc.assert(
      fc.property(anyText(3000), (text) => {
        const shown = printable(text, 100);
        expect(isPlain(shown)).toBe(true);
        expect(shown.length).toBeLessThanOrEqual(640);
      }),
    );
  });
});

describe('a table', () => {
  it.each(Object.entries(hostile))('does not pass %s to the terminal', (_, text) => {
    for (const table of [boxTable(['name'], [[text]]), plainTable(['name'], [[text]])])
      expect(table.split('\n').every((line) => isPlain(line) && !line.endsWith('a'))).toBe(true);
  });
});

describe('output of calictl', () => {
  it.each(Object.entries(hostile))(
    'does not pass %s to the terminal, and its JSON keeps the value',
    (_, text) => {
      const json = JSON.stringify({ text }, undefined, 2);
      const shown = forTerminal(json);
      expect(shown.split('\n').every(isPlain)).toBe(true);
      expect(JSON.parse(shown)).toEqual({ text });
    },
  );

  it('keeps its own lines and tabs', () => {
    expect(forTerminal('a\tb\nc')).toBe('a\tb\nc');
  });
});

describe('a log line', () => {
  it.each(Object.entries(hostile))('keeps the value of %s, and is plain text', (_, text) => {
    const line = escapeForJson(JSON.stringify({ reason: text }));
    expect(isPlain(line)).toBe(true);
    expect(JSON.parse(line)).toEqual({ reason: text });
  });

  it('has at most 40,000 characters, however large its fields are', () => {
    const long = 'x'.repeat(1 << 20);
    const lists = Array.from({ length: 5000 }, () => long);
    const deep: { next?: object } = {};
    deep.next = deep;
    const fields = { big: 1n, at: new Date(0), a: long, deep, err: new Error(long), [long]: 1, lists };
    const text = JSON.stringify(bounded(fields));
    expect(text.length).toBeLessThan(40_000);
    expect(JSON.parse(text)).toMatchObject({ big: '1', at: '1970-01-01T00:00:00.000Z' });
  });

  it('keeps short fields unchanged', () => {
    const fields = { node: 'n1', count: 3, list: ['a', { b: true }], none: undefined };
    expect(bounded(fields)).toEqual(fields);
  });
});
