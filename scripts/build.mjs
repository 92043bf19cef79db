// Bundles each program into one file under dist/: a bundle starts in a fifth of the time of its modules.
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

/** Builds all programs unless every bundle is there and none of their inputs changed. */
export async function buildIfStale() {
  const isBuilt = Object.keys(programs).every((name) => existsSync(path.join(dist, `${name}.js`)));
  const isCurrent = existsSync(stamp) && readFileSync(stamp, 'utf8') === bundleInputs();
  if (!isBuilt || !isCurrent) await buildPrograms();
}

/** Builds the named programs, or all of them. */
export async function buildPrograms(names = Object.keys(programs)) {
  // Taken first: a file that changes during the build leaves the bundles stale.
  const inputs = bundleInputs();
  const { build } = await import('esbuild');
  removeOldFiles();
  await build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries(names.map((name) => [name, programs[name]])),
    outdir: 'dist',
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    // What a program imports as it goes is a file of its own: a route reflector loads no Kubernetes client.
    splitting: true,
    chunkNames: 'chunk-[name]-[hash]',
    // Positions alone, for the stack of a crash (lib/source-stack.ts).
    sourcemap: 'linked',
    sourcesContent: false,
    // Sources stay in memory, comments and all; names stay for stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    external: ['koffi'],
    // client-node's node-fetch asks for Node's own, which warns that it will go.
    alias: { punycode: 'punycode/punycode.js' },
    // CommonJS dependencies call require for Node's own modules.
    banner: {
      js: "import { createRequire as __cr } from 'node:module';const require = __cr(import.meta.url);",
    },
    logLevel: 'warning',
  });
  if (Object.keys(programs).every((name) => names.includes(name))) writeFileSync(stamp, inputs);
}

/** How long a lab that was started before a build may still load chunks of the build before. */
const KEEP_MS = 3_600_000;

/** Removes the stamp, and chunks of earlier builds, which carry a hash in their names. */
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
