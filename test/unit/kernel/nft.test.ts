import { describe, expect, it } from 'vitest';
import type { NftSetHeader } from '../../../kernel/netlink/nftables.ts';
import { ChosenNft } from '../../../kernel/nft.ts';
import type { Nft } from '../../../kernel/port.ts';
import type { CommandResult } from '../../../lib/exec.ts';
import { silentLog } from '../../../lib/log.ts';

const fine: CommandResult = { outcome: 'exited', ok: true, code: 0, stdout: '', stderr: '' };
const newer: NftSetHeader = { table: 'inet foreign', name: 's', isReadable: false };

/** A node with the library and the program, which note their calls. */
class Node {
  readonly calls: string[] = [];
  readonly infos: string[] = [];
  result = fine;
  generation: number | undefined = 1;
  unreadable: NftSetHeader | undefined;
  searches = 0;
  hasLibrary = true;

  readonly nft = new ChosenNft({
    program: this.#nft('program'),
    open: () => ({
      state: {
        generation: async () => this.generation,
        findUnreadable: async () => {
          this.searches++;
          return this.unreadable;
        },
        close: () => {},
      },
      library: this.hasLibrary ? this.#nft('library') : undefined,
    }),
    log: { ...silentLog, info: (_, message) => this.infos.push(message) },
  });

  #nft(name: string): Nft {
    const note = (call: string) => this.calls.push(`${name} ${call}`);
    return {
      load: async () => {
        note('load');
        return name === 'program' ? this.result : fine;
      },
      check: async () => {
        note('check');
        return true;
      },
      list: async () => {
        note('list');
        return '';
      },
      generation: async () => undefined,
    };
  }
}

describe('the choice between libnftables and the program nft', () => {
  it('The program makes the first change, and the library everything after it.', async () => {
    const node = new Node();
    await node.nft.list('inet cali');
    await node.nft.load([]);
    await node.nft.list('inet cali');
    await node.nft.check([]);
    await node.nft.load([]);
    expect(node.calls).toEqual([
      'program list',
      'program load',
      'library list',
      'library check',
      'library load',
    ]);
    expect(node.infos).toEqual(['nftables is changed through libnftables, in this process']);
  });

  it('A refused first change proves the library too, but one that crashed or hung does not.', async () => {
    for (const outcome of ['killed', 'timeout', 'refused'] as const) {
      const node = new Node();
      node.result = { ...fine, outcome, ok: false, code: undefined, stderr: 'nft was killed' };
      await node.nft.load([]);
      await node.nft.load([]);
      expect(node.calls).toEqual(['program load', 'program load']);
    }
    const node = new Node();
    node.result = { ...fine, ok: false, code: 1 };
    await node.nft.load([]);
    await node.nft.load([]);
    expect(node.calls).toEqual(['program load', 'library load']);
  });

  it('Without the program the library is used at once, and without the library the program.', async () => {
    const node = new Node();
    node.result = { ...fine, outcome: 'missing', ok: false, code: undefined };
    expect((await node.nft.load([])).ok).toBe(true);
    expect(node.calls).toEqual(['program load', 'library load']);

    const other = new Node();
    other.hasLibrary = false;
    await other.nft.load([]);
    await other.nft.load([]);
    expect(other.calls).toEqual(['program load', 'program load']);
    expect(other.infos).toEqual(['nftables is changed through the program nft']);
  });

  it('A set that the library cannot read keeps the library unused until the set is gone.', async () => {
    const node = new Node();
    await node.nft.load([]);
    node.calls.length = 0;
    node.unreadable = newer;
    node.generation = 2;
    for (let i = 0; i < 3; i++) await node.nft.list('inet cali');
    await node.nft.load([]);
    node.unreadable = undefined;
    node.generation = 3;
    await node.nft.list('inet cali');
    expect(node.calls).toEqual([
      'program list',
      'program list',
      'program list',
      'program load',
      'library list',
    ]);
    expect(node.infos.filter((text) => text.includes('newer nft'))).toHaveLength(1);
  });

  it('Sets are read only after a change of some table.', async () => {
    const node = new Node();
    await node.nft.load([]);
    for (let i = 0; i < 5; i++) await node.nft.list('inet cali');
    expect(node.searches).toBe(1);
    node.generation = 2;
    await node.nft.list('inet cali');
    expect(node.searches).toBe(2);
  });

  it('The library is not used when the generation is unknown.', async () => {
    const node = new Node();
    node.generation = undefined;
    await node.nft.load([]);
    await node.nft.list('inet cali');
    expect(node.calls).toEqual(['program load', 'program list']);
  });

  it('When the program crashes, its result names the set that a newer nft wrote.', async () => {
    const node = new Node();
    node.result = {
      ...fine,
      outcome: 'killed',
      ok: false,
      code: undefined,
      stderr: 'nft was killed by a signal: SIGSEGV',
    };
    node.unreadable = newer;
    expect((await node.nft.load([])).stderr).toBe(
      'nft was killed by a signal: SIGSEGV: this version cannot read set s of table inet foreign, which a newer nft wrote',
    );
  });
});
