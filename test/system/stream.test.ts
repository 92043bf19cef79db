import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { root, until } from '../helpers/lab.ts';

const EVENTS = Number(process.env['CALI_STREAM_EVENTS'] || 100_000);
const SEED = Number(process.env['CALI_STREAM_SEED'] || 11);
const PATIENCE_MS = 15 * 60_000;

interface Answer {
  readonly events?: number;
  readonly rss?: number;
  readonly sent?: boolean;
  readonly exited?: number | string;
  readonly dump?: Record<string, unknown>;
  readonly store?: string;
}

/** A world (test/helpers/stream-world.ts) in its own namespaces. */
class World {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly answers: Answer[] = [];

  constructor(script: string, directory: string, args: readonly string[]) {
    this.#directory = directory;
    const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const agent = path.join(root, 'dist', 'cali-node.js');
    this.#child = spawn(
      'unshare',
      [...user, '--net', '--mount', '--', process.execPath, script, agent, directory, ...args],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      this.answers.push(answer);
      if (answer.events !== undefined)
        process.stderr.write(
          `stream: ${answer.events} of ${EVENTS} events, agent ${Math.round((answer.rss ?? 0) / 1024)} MB\n`,
        );
    });
  }

  async ask(line: 'dump' | 'store'): Promise<Answer> {
    const before = this.answers.length;
    this.#child.stdin!.write(`${line}\n`);
    await until(line, PATIENCE_MS, () => this.answers.slice(before).some((answer) => line in answer));
    return this.answers.slice(before).find((answer) => line in answer)!;
  }

  /** Returns the agent's last log lines. */
  log(): string {
    return readFileSync(path.join(this.#directory, 'log'), 'utf8')
      .split('\n')
      .slice(-8)
      .join('\n')
      .slice(0, 8_000);
  }

  get exited(): number | string | undefined {
    return this.answers.find(({ exited }) => exited !== undefined)?.exited;
  }

  stop(): void {
    this.#child.kill('SIGTERM');
  }
}

let directory: string;
let script: string;
const worlds: World[] = [];
beforeAll(async () => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'cali-stream-'));
  script = path.join(directory, 'stream-world.mjs');
  await build({
    entryPoints: [path.join(root, 'test', 'helpers', 'stream-world.ts')],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
  });
});
afterAll(() => {
  for (const world of worlds) world.stop();
  rmSync(directory, { recursive: true, force: true });
});

function world(name: string, ...args: string[]): World {
  const started = new World(script, path.join(directory, name), args);
  worlds.push(started);
  return started;
}

it(
  `an agent survives ${EVENTS} API events of every kind, and ends like one that saw only the final objects`,
  async () => {
    const streamed = world('streamed', 'stream', String(EVENTS), String(SEED));
    await until('all events are sent', PATIENCE_MS, () =>
      streamed.answers.some(({ sent, exited }) => sent || exited !== undefined),
    );
    expect(streamed.exited, streamed.log()).toBeUndefined();
    const { store } = await streamed.ask('store');
    const fresh = world('fresh', 'final', store!);
    let [left, right]: (Record<string, unknown> | undefined)[] = [];
    const isSame = async () => {
      [left, right] = (await Promise.all([streamed.ask('dump'), fresh.ask('dump')])).map(({ dump }) => dump);
      return JSON.stringify(left) === JSON.stringify(right);
    };
    await until('the second agent has been sent all objects', PATIENCE_MS, () =>
      fresh.answers.some(({ sent }) => sent),
    );
    await until('both agents have the same state', 120_000, isSame).catch(() => undefined);
    expect(streamed.exited, streamed.log()).toBeUndefined();
    expect(left).toEqual(right);
    const { routes, status, peers } = (right ?? {}) as {
      routes: string[];
      peers: string[];
      status: { objects: { name: string }[] };
    };
    // Empty results would prove nothing.
    expect(routes.length).toBeGreaterThan(5);
    expect(peers.length).toBeGreaterThan(0);
    expect(status.objects.map(({ name }) => name)).toEqual(['never-readable']);
  },
  2 * PATIENCE_MS,
);
