// npm run dev: a lab that restarts its agents after each change of their sources. It takes the options of npm start.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, watch } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { setUp } from './setup.mjs';

const root = path.resolve(import.meta.dirname, '..');
/** Programs that restart, and those that run as long as the lab. */
const restarted = ['cali-node', 'cali-controllers'];
const lasting = ['cali-lab-inside', 'cali-api'];
/** Editors write a file in several steps. */
const QUIET_MS = 50;
/** Time in which the signal of Ctrl-C arrives. */
const ENDING_MS = 200;

const watchers = new Map();
let timer;
let isWorking = false;
let changed = new Set();
let lab;
let isEnding = false;
let builder;

await setUp();
const { context } = await import('esbuild');
const { bundleOptions } = await import('./build.mjs');
mkdirSync(path.join(root, 'dist'), { recursive: true });
// Its own folder, so that npm test and npm start keep their bundles.
const folder = mkdtempSync(path.join(root, 'dist', 'dev-'));
const options = bundleOptions([...restarted, ...lasting, 'cali-lab', 'calictl'], folder);
process.on('exit', () => {
  lab?.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});
// The terminal sends Ctrl-C to the lab too; other signals reach only this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    isEnding = true;
    if (lab === undefined) void end(130);
    else if (signal !== 'SIGINT') lab.kill(signal);
  });
builder = await context({
  ...options,
  entryPoints: { ...options.entryPoints, 'lab-client': 'lab/outside.ts' },
  metafile: true,
});

let running = textOf(restarted);

await work();
if (lab === undefined) await end(1);

/** Builds, then starts the lab or restarts its agents. Works again when files changed meanwhile. */
async function work() {
  if (isWorking) return;
  isWorking = true;
  do {
    const names = [...changed].join(', ');
    changed = new Set();
    const startedAt = Date.now();
    const before = { restarted: running, lasting: textOf(lasting) };
    const isBuilt = await build();
    if (isEnding || !isBuilt) continue;
    if (lab === undefined) startLab();
    else if (textOf(restarted) !== before.restarted) {
      const isReady = await restart();
      if (!isEnding && isReady)
        say(`${names}: agents restarted, ${((Date.now() - startedAt) / 1000).toFixed(1)} s after the change`);
    }
    running = textOf(restarted);
    if (lab !== undefined && before.lasting !== '' && textOf(lasting) !== before.lasting)
      say(
        `${names || 'sources'}: the lab itself changed, and runs the new code after npm run dev starts again`,
      );
  } while (changed.size > 0 && !isEnding);
  isWorking = false;
}

/** Builds the programs and watches their sources. Returns false if the sources have errors, which esbuild prints. */
async function build() {
  try {
    const { metafile } = await builder.rebuild();
    const sources = Object.keys(metafile.inputs).filter((file) => !file.startsWith('node_modules/'));
    for (const each of new Set(sources.map((file) => path.dirname(file)))) watchFolder(each);
    return true;
  } catch (error) {
    // Ctrl-C ends esbuild too, perhaps before this process gets the signal.
    if (!Array.isArray(error.errors)) await delay(ENDING_MS);
    if (isEnding || Array.isArray(error.errors)) return false;
    throw error;
  }
}

function watchFolder(name) {
  if (watchers.has(name)) return;
  const watcher = watch(path.join(root, name), (_, file) => {
    if (!file?.endsWith('.ts')) return;
    changed.add(path.join(name, file));
    clearTimeout(timer);
    timer = setTimeout(() => void work(), QUIET_MS);
  });
  watchers.set(name, watcher);
}

function startLab() {
  lab = spawn(process.execPath, [path.join(folder, 'cali-lab.js'), 'start', ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  lab.on('exit', (code, signal) => void end(code ?? (signal === 'SIGINT' ? 130 : 1)));
}

/** Restarts the agents. Returns false if they did not become ready, and prints the reason. */
async function restart() {
  const { askLab } = await import(path.join(folder, 'lab-client.js'));
  try {
    await askLab({ do: 'restart' });
    return true;
  } catch (error) {
    if (!isEnding) say(error.message);
    return false;
  }
}

/** The entry points of programs: they name their chunks by hashes, so they differ when anything in a program does. */
function textOf(names) {
  try {
    return names.map((name) => readFileSync(path.join(folder, `${name}.js`), 'utf8')).join('\n');
  } catch {
    return '';
  }
}

function say(text) {
  process.stdout.write(`${text}\n`);
}

async function end(code) {
  isEnding = true;
  for (const watcher of watchers.values()) watcher.close();
  clearTimeout(timer);
  await builder?.dispose().catch(() => undefined);
  process.exit(code);
}
