/** What the lab prints fits the terminal, and says what it counts. */
import { describe, expect, test } from 'vitest';
import { LabProcess } from '../../../lab/process.ts';
import { connectivityMatrix, describePairs, flowTable, nodeTable, suggestions } from '../../../lab/report.ts';
import { Screen, type Terminal, terminalOf } from '../../../lab/screen.ts';
import { coloured, listed, plain, step, wrap } from '../../../lab/text.ts';

const agent = new LabProcess(['true'], {}, '/dev/null');

/** A lab's nodes and pods, with the longest addresses that there are. */
function world(nodeCount: number, podCount: number) {
  const nodes = Array.from({ length: nodeCount }, (_, i) => ({
    name: `node${i + 1}`,
    addresses: { ipv4: `172.18.0.${i + 11}`, ipv6: `fd00:172:18::${(i + 0x11).toString(16)}` },
    runDirectory: '',
    agent,
  }));
  const pods = nodes.flatMap(({ name }, i) =>
    Array.from({ length: podCount }, (_, j) => ({
      name: `${name}-${j}`,
      node: name,
      netns: '',
      addresses: [`10.244.${200 + i}.${100 + j}`, `fd00:10:244::${i}:${j}`],
    })),
  );
  const targets = [
    ...pods,
    ...nodes.map(({ name, addresses: { ipv4, ipv6 } }) => ({ name, addresses: [ipv4, ipv6] })),
  ];
  const all = pods.flatMap((from) =>
    targets.flatMap((to) =>
      to.name === from.name ? [] : to.addresses.map((address) => ({ from: from.name, to: to.name, address })),
    ),
  );
  return { nodes, pods, all };
}
const widest = (text: string) => Math.max(...text.split('\n').map((line) => line.length));

describe.each([2, 4, 8, 16, 64])('with %i nodes', (count) => {
  const { nodes, pods, all } = world(count, 3);
  const lost = all.filter(({ from, to }) => from === 'node1-0' && to === 'node2-1');

  test('the tables fit in 80 columns', () => {
    expect(widest(nodeTable(nodes, pods, 80))).toBeLessThanOrEqual(80);
    expect(widest(suggestions(nodes))).toBeLessThanOrEqual(80);
    const matrix = connectivityMatrix(nodes, pods, { all, unreachable: lost }, 80);
    expect(widest(matrix)).toBeLessThanOrEqual(80);
    expect(matrix).toMatch(/^node1 .*✗ 8\/9/m);
  });

  test('a pair that fails in one or both families counts as one pair', () => {
    const total = new Set(all.map(({ from, to }) => `${from} ${to}`)).size;
    const sentence = `${total - 1} of ${total} pairs, IPv4 and IPv6`;
    expect(lost).toHaveLength(2);
    expect(describePairs(all, lost)).toBe(sentence);
    expect(describePairs(all, lost.slice(1))).toBe(sentence);
  });
});

test('one family is not counted as two', () => {
  const all = world(2, 1).all.filter(({ address }) => !address.includes(':'));
  expect(describePairs(all, [])).toBe('6 of 6 pairs');
});

test('flows report pauses of the prober, and whether there are no flows', () => {
  const flow = { from: 'a', to: 'b', address: '10.0.0.1', sent: 700, lost: 0, longestGap: 0 };
  expect(flowTable([{ ...flow, unsent: 0, longestStallMs: 0 }], 80)).not.toContain('prober');
  const late = flowTable([{ ...flow, unsent: 390, longestStallMs: 4012 }], 80);
  expect(late.replaceAll('\n', ' ')).toContain(
    'stalled for up to 4.0 s: 390 probes of each flow were not sent',
  );
  expect(widest(late)).toBeLessThanOrEqual(80);
  expect(flowTable([], 80)).toContain('No flows are running');
});

test('words are kept whole, and continuation lines are indented', () => {
  expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
  expect(wrap('unbreakable', 4)).toEqual(['unbreakable']);
  expect(step('✓', 'one two three', '1.5', 12, plain)).toBe('  ✓ one two\n    three\n    (1.5 s)');
  expect(step('✓', 'done', '1.5', 80, coloured)).toBe(
    '  \u001B[32m✓\u001B[39m done  \u001B[2m(1.5 s)\u001B[22m',
  );
  expect(listed(['a', 'b', 'c', 'd'])).toBe('a, b, c, d');
  expect(listed(['a', 'b', 'c', 'd', 'e'])).toBe('a, b, c and 2 more');
});

describe('a terminal', () => {
  const tty = { isTTY: true, columns: 80 };
  test.each([
    ['uses colours', tty, {}, coloured],
    ['with NO_COLOR uses no colours', tty, { NO_COLOR: '1' }, plain],
    ['with an empty NO_COLOR uses colours', tty, { NO_COLOR: '' }, coloured],
    ['with TERM=dumb uses no colours', tty, { TERM: 'dumb' }, plain],
    ['that is a pipe uses no colours', {}, {}, plain],
  ])('%s', (_, stream, environment, style) => {
    expect(terminalOf(stream, environment).style).toBe(style);
  });

  test('without UTF-8 gets ASCII, and a pipe never does', () => {
    expect(terminalOf(tty, { LANG: 'C' }).isUnicode).toBe(false);
    expect(terminalOf(tty, { LANG: 'C', LC_ALL: 'en_US.UTF-8' }).isUnicode).toBe(true);
    expect(terminalOf(tty, {}).isUnicode).toBe(true);
    expect(terminalOf({}, { LANG: 'C' }).isUnicode).toBe(true);
    let text = '';
    new Screen(terminalOf(tty, { LANG: 'C', NO_COLOR: '1' }), (part) => {
      text += part;
    }).step('done');
    expect(text).toMatch(/^ {2}\+ done {2}\(\d\.\d s\)\n$/);
  });

  test('without a width counts as 80 columns', () => {
    expect(terminalOf({ isTTY: true, columns: 0 }, {}).columns).toBe(80);
    expect(terminalOf({}, {}).columns).toBe(80);
  });
});

test('a wait is shown on one line with what is missing, and the next step replaces the line', async () => {
  const terminal: Terminal = { isTerminal: true, columns: 40, style: plain, isUnicode: true };
  const parts: string[] = [];
  const screen = new Screen(terminal, (part) => parts.push(part));
  const missing = ['node1', 'node2', 'node3', 'node4', 'node5'];
  await new Promise<void>((resolve) => {
    screen.wait({
      what: 'agents',
      missing: () => {
        resolve();
        return missing;
      },
    });
  });
  expect(parts.at(-1)).toMatch(/^ {2}… agents: waiting for \w+… {2}\(\d+\.\d s\)$/);
  screen.step('agents in sync');
  expect(parts.slice(-2)).toEqual(['\r\u001B[K', expect.stringMatching(/^ {2}✓ agents in sync/)]);
});
