/** The guard of `inet cali`: it is there before the first pod, stays when the agent ends, and comes back when it is changed. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root, TestLab, until } from '../helpers/lab.ts';

const PATIENCE_MS = 60_000;

describe('the guard in the kernel', { timeout: 120_000 }, () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.start(['--nodes', '2', '--pods', '1']);
  }, 300_000);
  afterAll(() => lab?.stop());

  const table = () => lab.exec('node1', 'nft', '-s', 'list', 'table', 'inet', 'cali').stdout;

  it('comes back when somebody deletes it, or opens it', async () => {
    const before = table();
    for (const damage of [
      'delete table inet cali',
      'insert rule inet cali guard-pods accept',
      'delete element inet cali nodes4 { 172.18.0.12 }',
    ]) {
      lab.sh('node1', `nft ${damage}`);
      expect(table()).not.toBe(before);
      await until(`${damage} is put right`, PATIENCE_MS, () => table() === before);
    }
  });

  it('stays the same while the agent ends, by SIGTERM and by SIGKILL, and starts again', async () => {
    const before = table();
    for (const end of ['node stop', 'node kill'] as const) {
      await lab.ask({ do: end, name: 'node1' });
      expect(table()).toBe(before);
      await lab.ask({ do: 'node start', name: 'node1' });
      expect(table()).toBe(before);
    }
  });

  it('goes with --cleanup', async () => {
    await lab.ask({ do: 'node stop', name: 'node1' });
    lab.sh('node1', 'nft add table inet foreign');
    const program = path.join(root, 'dist', 'cali-node.js');
    expect(lab.exec('node1', process.execPath, program, '--cleanup').code).toBe(0);
    expect(lab.sh('node1', 'nft list tables')).toBe('table inet foreign\n');
  });
});
