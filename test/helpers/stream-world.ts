/**
 * A node in its own network namespace for test/system/stream.test.ts: runs a hostile API and a real agent, and reports
 * the final state of the kernel and the agent. Exchanges JSON lines with the test.
 *
 *   node stream-world.js PROGRAM DIRECTORY stream COUNT SEED | final FILE
 */
import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import path from 'node:path';
import { registry } from '../../datastore/registry.ts';
import { nodeKind } from '../../datastore/schema/core.ts';
import { runStream } from './event-stream.ts';
import { HostileApi } from './hostile-api.ts';

const [program, directory, mode, ...rest] = process.argv.slice(2) as [string, string, string, ...string[]];
const say = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`);
const sh = (command: string, ...args: string[]) =>
  spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28 }).stdout ?? '';

mkdirSync(directory, { recursive: true });
sh('ip', 'link', 'set', 'lo', 'up');
sh('ip', 'link', 'add', 'eth0', 'address', '02:00:00:00:00:01', 'type', 'dummy');
sh('ip', 'address', 'add', '10.0.0.1/16', 'dev', 'eth0');
sh('ip', 'link', 'set', 'eth0', 'up');

const api = await HostileApi.start();
if (mode === 'final') {
  const stored = JSON.parse(readFileSync(rest[0]!, 'utf8')) as Record<string, Record<string, unknown>[]>;
  for (const definition of registry)
    for (const object of stored[definition.plural] ?? []) api.put(definition, object);
} else
  api.put(nodeKind, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', uid: 'n1', labels: { rack: 'a' } },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
  });

const kubeconfig = path.join(directory, 'kubeconfig');
writeFileSync(
  kubeconfig,
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: api.url } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  }),
);
const agent = spawn(process.execPath, [program], {
  stdio: ['ignore', 'pipe', 'pipe'],
  env: {
    ...process.env,
    NODENAME: 'n1',
    IP: '10.0.0.1/16',
    KUBECONFIG: kubeconfig,
    CALI_RUN_DIR: path.join(directory, 'run'),
    NO_DEFAULT_POOLS: 'true',
  },
});
const log = createWriteStream(path.join(directory, 'log'));
agent.stdout.pipe(log, { end: false });
agent.stderr.pipe(log, { end: false });
agent.on('exit', (code, signal) => say({ exited: code ?? signal }));
process.on('SIGTERM', () => {
  agent.kill('SIGKILL');
  process.exit(0);
});

await until(() => ask('/v1/status').then(({ notReady }) => Array.isArray(notReady)));
if (mode === 'stream')
  await runStream(api, Number(rest[0]), Number(rest[1]), (events) => say({ events, rss: rss() }));
say({ sent: true });
for await (const line of readLines()) {
  if (line === 'dump') say({ dump: await dump() });
  if (line === 'store') {
    await quiet();
    const file = path.join(directory, 'store.json');
    writeFileSync(
      file,
      JSON.stringify(
        Object.fromEntries(
          registry.map((definition) => [definition.plural, [...api.all(definition).values()]]),
        ),
      ),
    );
    say({ store: file });
  }
}

/** Waits until the agent stops writing. It takes 10 s to confirm an affinity that was left half-way. */
async function quiet(): Promise<void> {
  let { version } = api;
  for (let still = 0; still < 15; still++) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    if (api.version === version) continue;
    ({ version } = api);
    still = 0;
  }
}

function rss(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))?.[1] ?? 0);
}

/** Returns the state of the kernel and the agent without times, counters and process IDs. */
async function dump(): Promise<object> {
  const json = (text: string) => (text.trim() === '' ? [] : (JSON.parse(text) as object[]));
  const status = await ask('/v1/status');
  const { pid: _, startedAt: __, bgp, ...others } = status;
  const { peers, ...speaker } = bgp as { peers: { config: object }[] };
  return {
    routes: sorted(json(sh('ip', '-j', 'route', 'show', 'table', 'all')).map((one) => without(one, ['uid']))),
    addresses: sorted(json(sh('ip', '-j', 'address')).map((one) => without(one, ['ifindex', 'link_index']))),
    neighbours: sorted(json(sh('ip', '-j', 'neigh', 'show', 'nud', 'permanent'))),
    ruleset: sh('nft', '-s', 'list', 'ruleset'),
    status: others,
    speaker,
    peers: sorted(peers.map(({ config }) => config)),
  };
}

function without(object: object, keys: readonly string[]): object {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

function sorted(list: readonly object[]): string[] {
  return list.map((one) => JSON.stringify(one)).sort();
}

function ask(url: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const socketPath = path.join(directory, 'run', 'cali.sock');
    request({ socketPath, path: url }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(JSON.parse(text) as Record<string, unknown>));
    })
      .on('error', reject)
      .end();
  });
}

async function until(check: () => Promise<boolean>): Promise<void> {
  while (!(await check().catch(() => false))) await new Promise((resolve) => setTimeout(resolve, 100));
}

async function* readLines(): AsyncGenerator<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (text + chunk).split('\n');
    text = lines.pop()!;
    yield* lines;
  }
}
