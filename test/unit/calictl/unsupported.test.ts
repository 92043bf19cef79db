import { Command } from 'commander';
import { expect, it } from 'vitest';
import { refuse } from '../../../calictl/unsupported.ts';

it.each([
  { args: ['ipam', 'split'], why: 'without arguments' },
  { args: ['ipam', 'split', '4', '--cidr', '10.0.0.0/8', '--unknown=1'], why: 'with any arguments' },
])('an unsupported command fails with its full name and the reason, $why', async ({ args }) => {
  const program = new Command('calictl').exitOverride();
  refuse(program.command('ipam'), 'split', 'IPPools must not overlap');
  await expect(program.parseAsync(args, { from: 'user' })).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: 'ipam split is not supported: IPPools must not overlap',
  });
});
