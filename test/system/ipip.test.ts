/** The tests of tunnel.test.ts with IPIP, inside user-mode Linux, whose kernel supports it. */
import path from 'node:path';
import { expect, it } from 'vitest';
import { canBootUml, runCommandInUml } from '../../lab/uml.ts';
import { hasProgram, root } from '../helpers/lab.ts';

const canRun = hasProgram('linux.uml') && hasProgram('modprobe') && (await canBootUml());

it.skipIf(!canRun)(
  'IPIP: every test of tunnel.test.ts passes (skipped without user-mode-linux and kmod, or if its kernel panics)',
  async () => {
    const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
    const command = [
      process.execPath,
      vitest,
      'run',
      '--project',
      'system',
      '--reporter=verbose',
      'test/system/tunnel.test.ts',
    ];
    expect(await runCommandInUml(['env', 'CI=1', 'NO_COLOR=1', 'CALI_TEST_ENCAP=ipip', ...command])).toBe(0);
  },
  1_500_000,
);
