import { expect, it } from 'vitest';
import { missingCapabilities } from '../../../../agent/report/capabilities.ts';

const status = (effective: string) =>
  `Name:\tnode\nCapInh:\t0000000000000000\nCapEff:\t${effective}\nSeccomp:\t0\n`;

it.each([
  ['000001ffffffffff', []],
  ['0000000000201000', []],
  ['0000000000200000', ['NET_ADMIN']],
  ['0000000000001000', ['SYS_ADMIN']],
  ['0000000000000000', ['NET_ADMIN', 'SYS_ADMIN']],
])('a process with the effective capabilities %s lacks %j', (effective, names) => {
  const sentences = missingCapabilities(status(effective));
  expect(sentences).toHaveLength(names.length);
  for (const [index, name] of names.entries())
    expect(sentences[index]).toContain(`add the capability ${name} to the securityContext`);
});

it.each(['', 'CapEff: unknown', 'CapPrm:\t0000000000000000'])(
  'nothing is reported when the kernel does not say which capabilities are effective: %j',
  (text) => {
    expect(missingCapabilities(text)).toEqual([]);
  },
);
