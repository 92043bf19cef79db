/** nftables through libnftables in this process, next to the program nft, in network namespaces. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import v8 from 'node:v8';
import vm from 'node:vm';
import { afterEach, describe, expect, it } from 'vitest';
import { firstGuard } from '../../felix/calc/ruleset.ts';
import { type Libnftables, openLibnftables } from '../../kernel/libnftables.ts';
import { MessageWriter } from '../../kernel/netlink/message-writer.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../../kernel/netlink/socket.ts';
import { ChosenNft } from '../../kernel/nft.ts';
import { programNft } from '../../kernel/nft-program.ts';
import { openNftState } from '../../kernel/nft-state.ts';
import type { Nft } from '../../kernel/port.ts';
import { silentLog } from '../../lib/log.ts';
import { hasProgram } from '../helpers/lab.ts';
import { NetworkNamespace } from '../helpers/network-namespace.ts';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function namespace(): NetworkNamespace {
  const made = new NetworkNamespace();
  cleanUps.push(() => made.remove());
  return made;
}

function library(netns: NetworkNamespace): Libnftables {
  const opened = openLibnftables({ netns: netns.path });
  if (!opened) throw new Error('libnftables.so.1 is missing');
  cleanUps.push(() => opened.close());
  return opened;
}

const program = ({ name }: NetworkNamespace): Nft => programNft(['ip', 'netns', 'exec', name, 'nft']);
const nft = ({ name }: NetworkNamespace, text: string): string =>
  execFileSync('ip', ['netns', 'exec', name, 'nft', '-f', '-'], { input: text, encoding: 'utf8' });
const ruleset = ({ name }: NetworkNamespace): string =>
  execFileSync('ip', ['netns', 'exec', name, 'nft', 'list', 'ruleset'], { encoding: 'utf8' });

const guard = firstGuard([179]);
const foreign =
  'table ip foreign { set s { type ipv4_addr; elements = { 192.0.2.1 } }\n chain c { ip saddr @s drop; }\n }\n';
const replace = (lines: readonly string[]) => ['table inet cali {}', 'delete table inet cali', ...lines];

describe.skipIf(!hasProgram('nft'))('nftables through the library', () => {
  const loads: Record<string, readonly string[]> = {
    'the guard': replace(guard),
    'the same again': replace(guard),
    'a missing chain on line 3': ['table inet cali {}', '', 'add rule inet cali missing accept'],
    'a syntax error on line 2': ['table inet cali {}', 'add rule inet cali nonsense nonsense nonsense'],
    'an address that is none': [
      'table inet cali {',
      'set t { type ipv4_addr; elements = { 1.2.3.4.5 }; }',
      '}',
    ],
    'a deletion of what does not exist': ['delete table inet missing'],
    'an element': ['add set inet cali t { type ipv4_addr; }', 'add element inet cali t { 192.0.2.9 }'],
    'no line': [],
    'a long line': [`add element inet cali t { ${'x'.repeat(1_000_000)} }`],
    'a control character': ['table inet cali {}', 'add table inet a\u0007'],
    'a NUL': ['table inet cali {}\u0000'],
    'a line break in a line': ['table inet cali {}\ndelete table inet cali'],
  };

  it('Every load has the same result and text, and leaves the same tables, as with the program.', async () => {
    const [one, other] = [namespace(), namespace()];
    for (const netns of [one, other]) nft(netns, foreign);
    const ours = library(one);
    for (const [name, lines] of Object.entries(loads)) {
      const result = await ours.load(lines);
      const expected = await program(other).load(lines);
      // The library knows the present chains, and may suggest one. It quotes at most 1,023 octets of a line.
      const stderr = (text: string) =>
        text
          .replace(/Could not process rule: |; did you mean .*/g, '')
          .split('\n')
          .map((line) => line.slice(0, 1000));
      expect({ name, ...result, stderr: stderr(result.stderr) }).toEqual({
        name,
        ...expected,
        stderr: stderr(expected.stderr.replace(/^ip is not/, 'nft is not')),
      });
      expect(ruleset(one), name).toBe(ruleset(other));
    }
    expect(ruleset(one)).toContain('192.0.2.1');
  });

  it('A list has the program’s text, and is empty for a table that does not exist.', async () => {
    const netns = namespace();
    nft(netns, guard.join('\n'));
    const ours = library(netns);
    const listed = await ours.list('inet cali');
    expect(listed).toBe(await program(netns).list('inet cali'));
    expect(listed).toContain('chain guard-wire {');
    expect(await ours.list('inet missing')).toBe('');
    expect(await ours.list('inet cali\u0000')).toBe(undefined);
  });

  it('A check tells whether the kernel would accept the lines, and changes nothing.', async () => {
    const netns = namespace();
    nft(netns, foreign);
    const before = ruleset(netns);
    const ours = library(netns);
    expect(await ours.check(guard)).toBe(true);
    expect(await ours.check(['table inet cali {}', 'add rule inet cali missing accept'])).toBe(false);
    expect(ruleset(netns)).toBe(before);
    await ours.load(guard);
    expect(ruleset(netns)).not.toBe(before);
  });

  it('A change by another program is seen at the next call, and changes the generation.', async () => {
    const netns = namespace();
    const ours = library(netns);
    const state = openNftState(netns.path)!;
    cleanUps.push(() => state.close());
    await ours.load(replace(guard));
    const [before, generation] = [await ours.list('inet cali'), await state.generation()];
    expect(await state.generation()).toBe(generation);
    nft(netns, 'add chain inet cali another\n');
    expect(await state.generation()).not.toBe(generation);
    expect(await ours.list('inet cali')).not.toBe(before);
    expect((await ours.load(['add rule inet cali another accept'])).ok).toBe(true);
    nft(netns, 'delete table inet cali\n');
    expect(await ours.list('inet cali')).toBe('');
    expect((await ours.load(['add rule inet cali another accept'])).ok).toBe(false);
    expect((await ours.load(replace(guard))).ok).toBe(true);
    expect(await ours.list('inet cali')).toBe(before);
  });

  it('Calls at the same time are done one after the other.', async () => {
    const ours = library(namespace());
    const results = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const { ok } = await ours.load([`table inet t${i} {}`]);
        return ok && (await ours.list(`inet t${i}`)) !== '';
      }),
    );
    expect(results.every(Boolean)).toBe(true);
  });

  it('A table for 5,000 nodes does not keep the event loop.', async () => {
    const ours = library(namespace());
    const nodes = Array.from({ length: 5000 }, (_, i) => `10.9.${i >> 8}.${i & 255}`);
    const lines = [
      `table inet t {`,
      `set s { type ipv4_addr; flags interval; auto-merge; elements = { ${nodes.join(', ')} }; }`,
      '}',
    ];
    let turns = 0;
    let isDone = false;
    const turn = () => {
      turns++;
      if (!isDone) setImmediate(turn);
    };
    setImmediate(turn);
    expect((await ours.load(lines)).ok).toBe(true);
    isDone = true;
    expect(turns).toBeGreaterThan(100);
  });

  it('10,000 loads, lists and refusals keep no memory and no file.', async () => {
    const ours = library(namespace());
    v8.setFlagsFromString('--expose-gc');
    const collect = vm.runInNewContext('gc') as () => void;
    const held = () => {
      collect();
      return { octets: process.memoryUsage.rss(), files: readdirSync('/proc/self/fd').length };
    };
    const lines = [
      'table inet t {}',
      'delete table inet t',
      'add table inet t',
      'add chain inet t c',
      'add rule inet t c ip saddr { 192.0.2.1, 192.0.2.9 } drop',
    ];
    const round = async (count: number) => {
      for (let i = 0; i < count; i++) {
        await ours.load(lines);
        if (i % 10 === 0) await ours.list('inet t');
        if (i % 10 === 5) await ours.load(['add rule inet t missing accept']);
      }
    };
    await round(2000);
    const before = held();
    await round(8000);
    const after = held();
    expect(after.files).toBe(before.files);
    expect(after.octets - before.octets).toBeLessThan(8000 * 1000);
  });
});

describe.skipIf(!hasProgram('nft'))('nftables beside a newer nft', () => {
  function chosen(netns: NetworkNamespace) {
    const used: string[] = [];
    const ours = library(netns);
    const spied: Libnftables = Object.create(ours, {});
    for (const name of ['load', 'check', 'list'] as const)
      Object.defineProperty(spied, name, {
        value: (argument: never) => {
          used.push(name);
          return ours[name](argument);
        },
      });
    const state = openNftState(netns.path);
    cleanUps.push(() => state?.close());
    const open = () => ({ state, library: spied });
    return { nft: new ChosenNft({ program: program(netns), open, log: silentLog }), used };
  }

  it('The library is used after the first change.', async () => {
    const { nft: ours, used } = chosen(namespace());
    expect((await ours.load(guard)).ok).toBe(true);
    expect(used).toEqual([]);
    expect(await ours.list('inet cali')).toContain('chain guard-wire {');
    expect((await ours.load(replace(guard))).ok).toBe(true);
    expect(used).toEqual(['list', 'load']);
  });

  it('The library does not see a set that it may be unable to read, and this process survives.', async () => {
    const netns = namespace();
    const { nft: ours, used } = chosen(netns);
    await ours.load(guard);
    await writeNewerSet(netns);
    const result = await ours.load(replace(guard));
    await ours.list('inet cali');
    expect(used).toEqual([]);
    // A newer nft can read the set.
    if (!result.ok)
      expect(result.stderr).toMatch(
        /SIGSEGV: this version cannot read set s of table inet foreign, which a newer nft wrote$/,
      );
  });
});

/** Writes a set as nftables 1.1.2 and later do: its user data say that the key's type is that of a value. */
async function writeNewerSet({ path }: NetworkNamespace): Promise<void> {
  const NFT = 10 << 8;
  const [CREATE, ACK] = [0x401, 0x405];
  const EXPR_VALUE = 4;
  const writer = new MessageWriter();
  const begin = (type: number, flags: number, sequence: number, family: number, resource: number) => {
    writer.begin(type, flags, sequence);
    writer.u8(family).u8(0).u16Be(resource);
  };
  const number = (type: number, value: number) => {
    writer.u16(8).u16(type).u32Be(value);
  };
  begin(0x10, 1, 1, 0, 10);
  writer.end();
  begin(NFT, CREATE, 2, 1, 0);
  writer.attributeText(1, 'foreign');
  writer.end();
  begin(NFT | 9, ACK, 3, 1, 0);
  writer.attributeText(1, 'foreign');
  writer.attributeText(2, 's');
  number(3, 0);
  number(4, 7);
  number(5, 4);
  number(10, 1);
  writer.attribute(13, Uint8Array.of(0, 4, 2, 0, 0, 0, 3, 8, 0, 4, EXPR_VALUE, 0, 0, 0, 1, 0));
  writer.end();
  begin(0x11, 1, 4, 0, 10);
  writer.end();
  const socket = new NetlinkSocket({ protocol: NETLINK_NETFILTER, netns: path });
  await socket.send(writer.bytes());
  socket.close();
}
