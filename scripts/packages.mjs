// npm's packages: installs them when node_modules is not that of package-lock.json, and says within seconds why it cannot.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fail, fileProblem, say, sayWhile } from './say.mjs';

const root = path.resolve(import.meta.dirname, '..');
const stampFile = path.join(root, 'node_modules', '.cali-lock');
/** How long the registry may take for its first answer. */
const PATIENCE_MS = 8_000;
/** npm 7 is the first that reads this package-lock.json. */
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
  // Without the registry, what npm's cache holds may be enough.
  if (unreachable) say(`${unreachable}; trying npm's cache …`);
  const source = unreachable ? ['--offline'] : [];
  const done = sayWhile('installing npm packages');
  const installed = await npm(['ci', '--no-audit', '--no-fund', '--loglevel=error', ...source], env);
  done();
  if (installed.status === 0) return writeFileSync(stampFile, lock);
  if (unreachable && /ENOTCACHED/.test(installed.text))
    fail(
      'Not all packages are in the cache. Check the network and proxy settings, or name another registry: npm config set registry URL',
    );
  fail(`${installed.text.trim()}\nnpm ci failed: ${explanation(installed.text)}`);
}

/** Ends this process unless there is an npm that can read the lock file. */
function requireNpm() {
  const { error, stdout } = spawnSync('npm', ['--version'], { encoding: 'utf8', cwd: root });
  if (error)
    fail('npm is not installed: install it (it comes with Node from nodejs.org; Debian package npm).');
  if (Number.parseInt(stdout, 10) < OLDEST_NPM)
    fail(`npm ${stdout.trim()} cannot read package-lock.json: Cali needs npm ${OLDEST_NPM} or later.`);
}

/** npm's cache, or one in the clone where npm's own cannot be written. */
function cacheSetting() {
  const cache = process.env.npm_config_cache ?? path.join(os.homedir(), '.npm');
  const problem = whyNotWritable(path.join(cache, '_cacache', 'tmp'));
  if (problem === undefined) return {};
  const own = path.join(root, 'dist', 'npm-cache');
  say(`npm's cache ${cache} cannot be written (${problem}): ${own} is used.`);
  return { npm_config_cache: own };
}

/** Error code of writing a file in a folder, which is made if need be. */
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

/** Why npm does not reach its registry, as a sentence; undefined when it does, whatever the registry answers. */
async function registryProblem(env) {
  const ping = await npm(
    ['ping', '--fetch-retries=0', `--fetch-timeout=${PATIENCE_MS}`, '--loglevel=error'],
    env,
    PATIENCE_MS,
  );
  const code = ping.isTimedOut ? 'no answer' : /npm (?:error|ERR!) code (\w+)/.exec(ping.text)?.[1];
  // A registry that refuses or does not know a ping is there.
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

/** Runs npm; its status and what it wrote. */
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
