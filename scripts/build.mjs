// Bundles each program into dist/. A bundle starts in a fifth of the time that its modules need.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bundleInputs } from './sources.mjs';

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'dist');
const stamp = path.join(dist, '.built');

const programs = {
  'cali-node': 'agent/main.ts',
  calictl: 'calictl/main.ts',
  'cali-controllers': 'controllers/main.ts',
  'cali-lab': 'lab/main.ts',
  'cali-lab-inside': 'lab/inside.ts',
  'cali-api': 'lab/api-server.ts',
  'cali-crds': 'datastore/write-crds.ts',
  'bench-cni': 'test/bench/cni.ts',
  'bench-bgp': 'test/bench/bgp.ts',
  'bench-tunnels': 'test/bench/tunnels.ts',
  'bench-dataplane': 'test/bench/dataplane.ts',
  fuzz: 'test/fuzz.ts',
  chaos: 'test/chaos/main.ts',
};

/** Builds all programs unless every bundle exists and no input changed. */
export async function buildIfStale() {
  const isBuilt = Object.keys(programs).every((name) => existsSync(path.join(dist, `${name}.js`)));
  const isCurrent = existsSync(stamp) && readFileSync(stamp, 'utf8') === bundleInputs();
  if (!isBuilt || !isCurrent) await buildPrograms();
}

/** Builds the named programs, or all of them. */
export async function buildPrograms(names = Object.keys(programs)) {
  // Read before the build, so that a file that changes during the build makes the bundles stale.
  const inputs = bundleInputs();
  const { build } = await import('esbuild');
  removeOldFiles();
  await build(bundleOptions(names));
  if (Object.keys(programs).every((name) => names.includes(name))) writeFileSync(stamp, inputs);
}

/** Returns esbuild's options for the named programs. */
export function bundleOptions(names, outdir = 'dist') {
  return {
    absWorkingDir: root,
    entryPoints: Object.fromEntries(names.map((name) => [name, programs[name]])),
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    // A dynamic import becomes a separate file, so a route reflector loads no Kubernetes client.
    splitting: true,
    chunkNames: 'chunk-[name]-[hash]',
    // Only positions: for stacks in logs (lib/source-stack.ts) and for debuggers.
    sourcemap: 'linked',
    sourcesContent: false,
    // Node keeps the source in memory, including comments. Names are kept for stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    external: ['koffi'],
    // node-fetch of client-node imports Node's own punycode, which prints a deprecation warning.
    alias: { punycode: 'punycode/punycode.js' },
    // CommonJS dependencies call require for Node's built-in modules.
    banner: {
      js: "import { createRequire as __cr } from 'node:module';const require = __cr(import.meta.url);",
    },
    logLevel: 'warning',
  };
}

/** Time for which a running lab may still load chunks of the previous build. */
const KEEP_MS = 3_600_000;

/** Removes the stamp, and old chunks, which have a hash in their names. */
function removeOldFiles() {
  mkdirSync(dist, { recursive: true });
  rmSync(stamp, { force: true });
  const chunks = readdirSync(dist).filter((name) => name.startsWith('chunk-'));
  for (const file of chunks.map((name) => path.join(dist, name)))
    if (Date.now() - statSync(file).mtimeMs > KEEP_MS) rmSync(file);
}

// node scripts/build.mjs [PROGRAM…]
if (process.argv[1] === import.meta.filename) {
  const names = process.argv.slice(2);
  await buildPrograms(names.length > 0 ? names : undefined);
}
