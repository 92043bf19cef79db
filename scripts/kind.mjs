// npm run kind:up: creates a kind cluster with Cali as its network; needs docker, kind and kubectl.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { IMAGE, PLACEHOLDER } from './image.mjs';

const root = path.resolve(import.meta.dirname, '..');
const CLUSTER = 'cali';

const remedies = {
  docker: 'install Docker Engine or Docker Desktop, and start it',
  kind: 'see kind.sigs.k8s.io, "Installation"',
  kubectl: 'see kubernetes.io, "Install Tools"',
};
const missing = Object.entries(remedies).filter(([name]) => spawnSync(name, ['--help']).error);
if (missing.length > 0) {
  for (const [name, remedy] of missing) process.stderr.write(`${name} is not installed: ${remedy}.\n`);
  process.stderr.write('npm start runs the same network on this machine without them.\n');
  process.exit(1);
}

/** Prints and runs a command; if it fails, exits with its status. */
function run(command, ...args) {
  runWith(undefined, command, ...args);
}

/** Like `run`, with text on standard input. */
function runWith(input, command, ...args) {
  process.stdout.write(`> ${command} ${args.join(' ')}\n`);
  const stdio = [input === undefined ? 'inherit' : 'pipe', 'inherit', 'inherit'];
  const { status } = spawnSync(command, args, { cwd: root, stdio, input });
  if (status !== 0) process.exit(status ?? 1);
}

const context = `kind-${CLUSTER}`;
const clusters = spawnSync('kind', ['get', 'clusters'], { encoding: 'utf8' }).stdout.split('\n');
if (!clusters.includes(CLUSTER)) run('kind', 'create', 'cluster', '--config', 'deploy/kind/kind.yaml');
run('docker', 'build', '-f', 'deploy/image/Dockerfile', '-t', IMAGE, '.');
run('kind', 'load', 'docker-image', IMAGE, '--name', CLUSTER);
const manifest = readFileSync(path.join(root, 'deploy', 'cali.yaml'), 'utf8').replaceAll(PLACEHOLDER, IMAGE);
runWith(manifest, 'kubectl', '--context', context, 'apply', '-f', '-');
run('kubectl', '--context', context, 'wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=120s');
run(
  'kubectl',
  '--context',
  context,
  '-n',
  'kube-system',
  'exec',
  'ds/cali-node',
  '--',
  'calictl',
  'node',
  'status',
);
process.stdout.write(`\nkubectl --context ${context} …; kind delete cluster --name ${CLUSTER} deletes it.\n`);
