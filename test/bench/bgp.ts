/**
 * npm run bench:bgp: measures our reflector, BIRD, FRR, OpenBGPD and GoBGP in turns with one load generator
 * (bgp/load.c). Prints tables of medians, and of ratios to ours. With --previous, the reflector of another built
 * checkout takes part. Each of its runs follows or precedes one of ours, after an uncounted run of each. A table of
 * ratios shows the cost of a change.
 *
 *   npm run bench:bgp -- [--runs 5] [--clients 50,200,500,1000] [--tables 100000x1,...] [--churn 60] [--stream FILE]
 *                        [--only Cali,BIRD] [--small] [--previous DIR] [--markdown FILE] [--soak SECONDS, with --stream]
 */

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArguments } from '../../lib/arguments.ts';
import { messageOf } from '../../lib/errors.ts';
import { type BenchSpeaker, CALI, installed, PORT, PREVIOUS } from './bgp/speakers.ts';
import { machine } from './machine.ts';

const { values: given } = parseArguments({
  options: {
    runs: { type: 'string', default: '5' },
    /** A run of seconds, of our reflector only, to show that the bench works; its figures mean nothing. */
    small: { type: 'boolean', default: false },
    clients: { type: 'string', default: '50,200,500,1000' },
    tables: { type: 'string', default: '100000x1,100000x10,1000000x1,1000000x10,1000000x100' },
    streams: { type: 'string', default: '1,10,100' },
    churn: { type: 'string', default: '60' },
    stream: { type: 'string' },
    /** Seconds of a soak test with 1,000 sessions; 0: none. */
    soak: { type: 'string', default: '0' },
    only: { type: 'string' },
    /** A checkout whose dist/ is built. */
    previous: { type: 'string' },
    markdown: { type: 'string' },
  },
});

const SMALL = { runs: '1', clients: '5', tables: '200x2', only: CALI };
const values = given.small ? { ...given, ...SMALL } : given;

interface Result {
  readonly phase: string;
  readonly wall: number;
  readonly cpu: number;
  readonly generator: number;
  readonly peakMb?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

interface Scenario {
  readonly title: string;
  readonly sessions: number;
  readonly arguments: readonly string[];
}

const namespace = `calibench${process.pid}`;
const folder = mkdtempSync(path.join(os.tmpdir(), 'cali-bench-'));
const load = path.join(folder, 'load');
const lines: string[] = [];

function say(line: string): void {
  process.stdout.write(`${line}\n`);
  lines.push(line);
}

function prepare(): void {
  if (process.getuid?.() !== 0) throw new Error('bench:bgp creates a network namespace: run it as root');
  // Daemons that drop root write their sockets here.
  chmodSync(folder, 0o777);
  execFileSync('gcc', ['-O2', '-o', load, 'test/bench/bgp/load.c']);
  execFileSync('ip', ['netns', 'add', namespace]);
  execFileSync('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
}

async function run(speaker: BenchSpeaker, scenario: Scenario): Promise<Result[] | string> {
  for (const [name, text] of Object.entries(speaker.files(scenario.sessions, folder)))
    writeFileSync(path.join(folder, name), text);
  const child = spawn('ip', ['netns', 'exec', namespace, ...speaker.command(folder)], { stdio: 'ignore' });
  try {
    await untilListening(child);
    const pids = processesOf(child.pid!);
    const [mode, sessions, ...rest] = scenario.arguments;
    const { stdout, stderr, status } = spawnSync(
      'ip',
      ['netns', 'exec', namespace, load, mode!, String(PORT), sessions!, ...rest, ...pids],
      { encoding: 'utf8', timeout: 900_000 },
    );
    if (status !== 0) process.stderr.write(`${speaker.name}: ${stderr.trim() || `exit ${status}`}\n`);
    if (stdout.trim() === '') return stderr.trim().split('\n').at(-1) ?? `exit ${status}`;
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Result);
  } catch (error) {
    return messageOf(error);
  } finally {
    await end(child);
  }
}

/** Waits until the speaker listens, without sending it anything. */
async function untilListening(child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const { stdout } = spawnSync('ip', ['netns', 'exec', namespace, 'ss', '-Hltn', `sport = :${PORT}`], {
      encoding: 'utf8',
    });
    if (stdout.includes(String(PORT))) return;
    if (child.exitCode !== null) throw new Error(`the speaker exited with ${child.exitCode}`);
    await sleep(50);
  }
  throw new Error('the speaker is not listening');
}

/** Returns the speaker's processes: all processes of the namespace. */
function processesOf(pid: number): string[] {
  const { stdout } = spawnSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' });
  return [...new Set([String(pid), ...stdout.split('\n').filter(Boolean)])];
}

async function end(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  // A process may have ended meanwhile: kill(1) ignores that.
  spawnSync('kill', ['-9', ...processesOf(child.pid!)]);
  if (child.exitCode === null && child.signalCode === null) await ended;
}

function median(values_: readonly number[]): number {
  const sorted = [...values_].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

/** Returns medians by phase. */
function summarize(runs: readonly (readonly Result[])[]): Map<string, Result> {
  const phases = new Map<string, Result>();
  for (const phase of new Set(runs.flatMap((one) => one.map((result) => result.phase)))) {
    const all = runs.flatMap((one) => one.filter((result) => result.phase === phase));
    const pick = (key: keyof Result) => median(all.map((result) => Number(result[key] ?? 0)));
    phases.set(phase, {
      phase,
      wall: pick('wall'),
      cpu: pick('cpu'),
      generator: pick('generator'),
      peakMb: Math.max(...all.map(({ peakMb = 0 }) => peakMb)),
      ...(all[0]?.p50Ms === undefined ? {} : { p50Ms: pick('p50Ms'), p99Ms: pick('p99Ms') }),
    });
  }
  return phases;
}

function table(scenario: Scenario, results: ReadonlyMap<string, Map<string, Result> | string>): void {
  const names = [...results.keys()];
  const ours = results.get('Cali');
  const phases = [
    ...new Set([...results.values()].flatMap((one) => (typeof one === 'string' ? [] : [...one.keys()]))),
  ];
  say(`\n### ${scenario.title}\n`);
  say(`| | ${names.join(' | ')} |`);
  say(`| --- | ${names.map(() => '---').join(' | ')} |`);
  for (const phase of phases.filter((one) => one !== 'settle')) {
    const cells = names.map((name) => {
      const result = results.get(name);
      if (typeof result === 'string') return result;
      const own = typeof ours === 'string' ? undefined : ours?.get(phase);
      return cell(result?.get(phase), name === 'Cali' ? undefined : own);
    });
    say(`| ${phase} | ${cells.join(' | ')} |`);
  }
  for (const [name, one] of results) {
    if (typeof one === 'string') continue;
    const costly = [...one.values()].filter(
      ({ generator, cpu, wall }) => generator > Math.max(cpu, wall) / 3 && generator > 0.05,
    );
    if (costly.length > 0)
      say(
        `\n${name}: the generator used more than a third of the time in ${costly.map(({ phase }) => phase).join(', ')}.`,
      );
  }
}

/** Prints the cost of each phase relative to the previous build: our medians divided by theirs. */
function compare(ours: readonly (readonly Result[])[], theirs: readonly (readonly Result[])[]): void {
  if (ours.length === 0 || theirs.length === 0) return;
  const [now, before] = [summarize(ours), summarize(theirs)];
  say(`\n| ${CALI} / ${PREVIOUS} | wall | CPU | memory |`);
  say('| --- | --- | --- | --- |');
  for (const [phase, result] of now) {
    const old = before.get(phase);
    if (phase === 'settle' || !old) continue;
    const ratio = (a: number, b: number) => (b > 0 ? (a / b).toFixed(3) : '');
    say(
      `| ${phase} | ${ratio(result.p50Ms ?? result.wall, old.p50Ms ?? old.wall)} | ${ratio(result.cpu, old.cpu)} | ${ratio(result.peakMb ?? 0, old.peakMb ?? 0)} |`,
    );
  }
}

/** Formats wall / CPU seconds and peak memory, or latencies, with the ratio to ours. */
function cell(result: Result | undefined, own: Result | undefined): string {
  if (!result) return '';
  const ratio = (theirs: number, ours: number) => (ours > 0 ? ` (×${(theirs / ours).toFixed(1)})` : '');
  if (result.p50Ms !== undefined) {
    const text = `p50 ${result.p50Ms.toFixed(1)} / p99 ${result.p99Ms!.toFixed(1)} ms, CPU ${result.cpu.toFixed(2)} s`;
    return text + (own ? ratio(result.p50Ms, own.p50Ms ?? 0) : '');
  }
  const text = `${result.wall.toFixed(3)} / ${result.cpu.toFixed(2)} s, ${Math.round(result.peakMb ?? 0)} MB`;
  return text + (own ? ratio(result.wall, own.wall) : '');
}

const runs = Number(values.runs);
const scenarios: Scenario[] = [
  ...values.clients
    .split(',')
    .filter(Boolean)
    .map((clients) => ({
      title: `Reflector with ${clients} clients, 10 prefixes each`,
      sessions: Number(clients),
      arguments: ['reflector', clients, '10', clients === '500' ? values.churn : '-1'],
    })),
  ...values.tables
    .split(',')
    .filter(Boolean)
    .map((one) => {
      const [prefixes, receivers] = one.split('x');
      return {
        title: `${Number(prefixes).toLocaleString('en')} prefixes to ${receivers}`,
        sessions: Number(receivers) + 1,
        arguments: ['table', receivers!, prefixes!],
      };
    }),
  ...(values.stream ? values.streams.split(',').filter(Boolean) : []).map((receivers) => ({
    title: `Internet table of 2015 to ${receivers}`,
    sessions: Number(receivers) + 1,
    arguments: ['stream', receivers, values.stream!],
  })),
  ...(values.stream && values.soak !== '0'
    ? [
        {
          title: `1,000 sessions with a hold time of 9 s, the table announced and withdrawn for ${values.soak} s`,
          sessions: 1001,
          arguments: ['soak', '1000', values.stream, values.soak],
        },
      ]
    : []),
];

try {
  prepare();
  const only = values.only?.split(',');
  const chosen = installed(values.previous).filter(
    ({ name }) => name === PREVIOUS || !only || only.includes(name),
  );
  if (values.previous && !chosen.some(({ name }) => name === PREVIOUS))
    throw new Error(`--previous ${values.previous}: it has no dist/cali-node.js; run npm run build there`);
  say(
    `${machine()}; medians of ${runs} runs; wall / CPU seconds, peak memory; ratios to Cali in parentheses.`,
  );
  for (const scenario of scenarios) {
    const taking = chosen.filter(
      ({ mostClients }) => scenario.sessions <= (mostClients ?? Number.POSITIVE_INFINITY),
    );
    const all = new Map<string, Result[][]>(taking.map(({ name }) => [name, []]));
    const failures = new Map<string, string>();
    if (values.previous)
      for (const speaker of taking.filter(({ name }) => name === CALI || name === PREVIOUS))
        await run(speaker, scenario);
    for (let i = 0; i < runs; i++) {
      // In turns, in reverse order every second time, so that other load on the machine affects all alike.
      for (const speaker of i % 2 === 0 ? taking : taking.toReversed()) {
        const result = await run(speaker, scenario);
        if (typeof result === 'string') failures.set(speaker.name, result);
        else all.get(speaker.name)!.push(result);
      }
    }
    const results = new Map<string, Map<string, Result> | string>();
    for (const [name, good] of all) {
      const failure = failures.get(name) ?? '';
      results.set(name, good.length > 0 ? summarize(good) : failure);
      process.stderr.write(`${scenario.title}: ${name} ${good.length} of ${runs} runs ${failure}\n`);
    }
    table(scenario, results);
    if (values.previous) compare(all.get(CALI) ?? [], all.get(PREVIOUS) ?? []);
  }
  if (values.markdown) writeFileSync(values.markdown, `${lines.join('\n')}\n`);
} finally {
  spawnSync('ip', ['netns', 'del', namespace]);
  rmSync(folder, { recursive: true, force: true });
}
