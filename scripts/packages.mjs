// Installs npm packages if node_modules does not match package-lock.json. Reports within seconds why it cannot.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fail, fileProblem, say, sayWhile } from './say.mjs';

const root = path.resolve(import.meta.dirname, '..');
const stampFile = path.join(root, 'node_modules', '.cali-lock');
/** Timeout for the first response of the registry. */
const PATIENCE_MS = 8_000;
/** The first major version of npm that reads this package-lock.json. */
const OLDEST_NPM = 7;

export async function installPackages() {
  const lock = createHash('sha256')
    .update(readFileSync(path.join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === lock) return;
  requireNpm();
  const env = { ...process.env, ...cacheSetting() };
  say('installing npm packages …');
  const unreachable = await registryProblem(env);
  // Without the registry, npm's cache may be enough.
  if (unreachable) say(`${unreachable}; trying npm's cache …`);
  const source = unreachable ? ['--offline'] : [];
  const done = sayWhile('installing npm packages');
  const installed = await npm(['ci', '--no-audit', '--no-fund', '--loglevel=error', ...source], env);
  done();
  if (installed.status === 0) return writeFileSync(stampFile, lock);
  if (unreachable && /ENOTCACHED/.test(installed.text))
    fail(
      'Not all packages are in the cache. Check the network and proxy settings, or set another registry: npm config set registry URL',
    );
  fail(`${installed.text.trim()}\nnpm ci failed: ${explanation(installed.text)}`);
}

/** Exits unless npm is installed and can read the lock file. */
function requireNpm() {
  const { error, stdout } = spawnSync('npm', ['--version'], { encoding: 'utf8', cwd: root });
  if (error)
    fail('npm is not installed: install it (it comes with Node from nodejs.org; Debian package npm).');
  if (Number.parseInt(stdout, 10) < OLDEST_NPM)
    fail(`npm ${stdout.trim()} cannot read package-lock.json: Cali needs npm ${OLDEST_NPM} or later.`);
}

/** Environment of npm: uses a cache in the clone if npm's own cache is not writable. */
function cacheSetting() {
  const cache = process.env.npm_config_cache ?? path.join(os.homedir(), '.npm');
  const problem = whyNotWritable(path.join(cache, '_cacache', 'tmp'));
  if (problem === undefined) return {};
  const own = path.join(root, 'dist', 'npm-cache');
  say(`npm's cache ${cache} cannot be written (${problem}): using ${own}.`);
  return { npm_config_cache: own };
}

/** Returns the error code of writing a file in a folder, which it creates if missing; undefined on success. */
function whyNotWritable(folder) {
  const file = path.join(folder, `.cali-${process.pid}`);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, '');
    rmSync(file);
    return undefined;
  } catch (error) {
    return error.code;
  }
}

/** Returns why npm cannot reach its registry, as a sentence; undefined if the registry responds at all. */
async function registryProblem(env) {
  const ping = await npm(
    ['ping', '--fetch-retries=0', `--fetch-timeout=${PATIENCE_MS}`, '--loglevel=error'],
    env,
    PATIENCE_MS,
  );
  const code = ping.isTimedOut ? 'no answer' : /npm (?:error|ERR!) code (\w+)/.exec(ping.text)?.[1];
  // A registry that rejects a ping is reachable.
  if (ping.status === 0 || code === undefined || /^E\d+$/.test(code)) return undefined;
  const { stdout } = spawnSync('npm', ['config', 'get', 'registry', 'https-proxy', 'proxy'], {
    encoding: 'utf8',
    cwd: root,
    env,
  });
  const setting = (name) => new RegExp(`^${name}=(?!null$)(.+)$`, 'm').exec(stdout ?? '')?.[1];
  const registry = withoutPassword(setting('registry') ?? '');
  const kind = registry.startsWith('https:') ? 'https' : 'http';
  const proxy =
    setting('https-proxy') ?? env[`${kind}_proxy`] ?? env[`${kind.toUpperCase()}_PROXY`] ?? setting('proxy');
  const through = proxy ? ` through the proxy ${withoutPassword(proxy)}` : '';
  return `npm cannot reach the registry ${registry}${through} (${code})`;
}

/** Runs npm; resolves to its exit status, its output, and whether it timed out. */
function npm(args, env, timeoutMs) {
  return new Promise((resolve) => {
    const child = spawn('npm', args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    let isTimedOut = false;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
    const timer =
      timeoutMs &&
      setTimeout(() => {
        isTimedOut = true;
        child.kill('SIGKILL');
      }, timeoutMs);
    child.on('error', (error) => resolve({ status: 1, text: error.message, isTimedOut }));
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ status, text, isTimedOut });
    });
  });
}

function explanation(text) {
  const code = /npm (?:error|ERR!) code (\w+)/.exec(text)?.[1];
  return fileProblem({ code }, root) ?? 'see above';
}

function withoutPassword(url) {
  return url.replace(/\/\/[^/@]*@/, '//');
}
