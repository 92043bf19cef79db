import { afterEach, describe, expect, it, vi } from 'vitest';
import { firstGuard, ownTable } from '../../../felix/calc/ruleset.ts';
import { programNft } from '../../../kernel/nft-program.ts';
import { Nftables } from '../../../kernel/nftables.ts';

describe('a host without nft', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('reports that pods are not restricted, and lets the node continue', async () => {
    vi.stubEnv('PATH', '/nonexistent');
    const table = new Nftables(ownTable, programNft());
    const guard = firstGuard([179]);
    await table.ensure(guard);
    expect(table.state).toBe('impossible');
    expect(table.problems).toEqual([
      expect.stringMatching(/^nft is not installed \(Debian package nftables\): pods are not restricted/),
    ]);
    expect(table.isTried).toBe(false);
    await table.apply({ guard, whole: guard, nat: guard });
    expect(table.isTried).toBe(true);
    expect(table.isUndecided).toBe(false);
    // A full check tries again, because nft may have been installed meanwhile.
    await table.check({ isFull: true });
    await table.apply({ guard, whole: guard, nat: guard });
    expect(table.state).toBe('impossible');
    expect(table.isUndecided).toBe(false);
  });
});
