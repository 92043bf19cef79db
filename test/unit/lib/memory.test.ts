import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { unmodified } from '../../../lib/memory.ts';

const block = (head: string, anonymous: number) =>
  `${head}\nSize:               1000 kB\nRss:                 500 kB\nAnonymous:        ${String(anonymous).padStart(8)} kB\nVmFlags: rd mr mw me\n`;

it('pages can be released only if they map files and were neither written nor relocated', () => {
  const smaps = [
    block('00400000-00500000 r-xp 00000000 fe:00 1234                              /usr/local/bin/node', 0),
    block('00500000-00600000 r--p 00100000 fe:00 1234                              /usr/local/bin/node', 0),
    block('00600000-00700000 r--p 00200000 fe:00 1234                              /usr/local/bin/node', 12),
    block('00700000-00800000 rw-p 00300000 fe:00 1234                              /usr/local/bin/node', 0),
    block('00800000-00900000 r--s 00000000 fe:00 99                                /shared/file', 0),
    block('00900000-00a00000 rw-p 00000000 00:00 0                                 [heap]', 900),
    block('7f0000000000-7f0000100000 r-xp 00000000 00:00 0 ', 0),
    block('7fff00000000-7fff00002000 r-xp 00000000 00:00 0                         [vdso]', 0),
    block('7f0000200000-7f0000300000 r-xp 00000000 fe:00 5678                      /usr/lib/libc.so.6', 0),
  ].join('');
  expect(unmodified(smaps).map(({ start, end }) => [start.toString(16), end.toString(16)])).toEqual([
    ['400000', '500000'],
    ['500000', '600000'],
    ['7f0000200000', '7f0000300000'],
  ]);
});

it('a real process has such pages', () => {
  expect(unmodified(readFileSync('/proc/self/smaps', 'utf8')).length).toBeGreaterThan(2);
});
