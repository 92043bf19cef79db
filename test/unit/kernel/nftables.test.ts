import { describe, expect, it } from 'vitest';
import { firstGuard, ownTable } from '../../../felix/calc/ruleset.ts';
import { Nftables } from '../../../kernel/nftables.ts';
import type { Nft } from '../../../kernel/port.ts';

describe('the comparison with the kernel’s table', () => {
  it('lists the table only after some table changed, or in a full check', async () => {
    let listings = 0;
    let generation: number | undefined = 1;
    let content = '';
    const nft: Nft = {
      load: async (lines) => {
        content = lines.join('\n');
        return { outcome: 'exited', ok: true, code: 0, stdout: '', stderr: '' };
      },
      check: async () => true,
      list: async () => {
        listings++;
        return content;
      },
      generation: async () => generation,
    };
    const table = new Nftables(ownTable, nft);
    const guard = firstGuard([179]);
    const check = async (isFull = false) => {
      const before = listings;
      const isChanged = await table.check({ isFull });
      return { isChanged, listings: listings - before };
    };
    await table.apply({ guard, whole: guard, nat: guard });
    expect(await check()).toEqual({ isChanged: false, listings: 0 });
    // Another program changed its own table.
    generation = 2;
    expect(await check()).toEqual({ isChanged: false, listings: 1 });
    expect(await check()).toEqual({ isChanged: false, listings: 0 });
    expect(await check(true)).toEqual({ isChanged: false, listings: 1 });
    // And then ours.
    content = 'weak';
    expect(await check()).toEqual({ isChanged: false, listings: 0 });
    generation = 3;
    expect(await check()).toEqual({ isChanged: true, listings: 1 });
    await table.apply({ guard, whole: guard, nat: guard });
    generation = undefined;
    expect(await check()).toEqual({ isChanged: false, listings: 1 });
    expect(await check()).toEqual({ isChanged: false, listings: 1 });
  });
});
