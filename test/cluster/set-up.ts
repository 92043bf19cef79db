/** Sets up the cluster of ../shared/cluster, and fixes its Kubernetes source first. */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from '../helpers/lab.ts';

export const tool = path.join(root, '..', 'shared', 'cluster', 'cluster');
export const canRun = existsSync(tool) && process.getuid?.() === 0;

/** Runs the tool and returns its standard output. Throws when it fails. */
export function cluster(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(tool, args, {
    encoding: 'utf8',
    timeout: 1_200_000,
    cwd: root,
    maxBuffer: 64 << 20,
  });
  if (status !== 0) throw new Error(`cluster ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

/** Builds Kubernetes with an API server that handles custom resources. */
export function buildCluster(): void {
  cluster('build');
  if (mendReflect2()) cluster('build');
}

/**
 * Kubernetes 1.20 vendors reflect2 1.0.1, which crashes when it iterates over a map in programs built with Go 1.18 or
 * later (modern-go/reflect2#24). The API server does so with the first custom resource. Debian has 1.0.2. Returns
 * whether it replaced anything: the programs built with it must then be rebuilt.
 */
function mendReflect2(): boolean {
  const cache = process.env['CLUSTER_CACHE'] ?? '/var/cache/kube-cluster';
  const vendored = path.join(cache, 'gopath/src/k8s.io/kubernetes/vendor/github.com/modern-go/reflect2');
  if (existsSync(path.join(vendored, 'go_above_118.go'))) return false;
  const { status, stderr } = spawnSync(
    'apt-get',
    ['install', '-y', '-q', 'golang-github-modern-go-reflect2-dev'],
    { encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } },
  );
  if (status !== 0) throw new Error(`reflect2 1.0.2 cannot be installed: ${stderr}`);
  const mended = '/usr/share/gocode/src/github.com/modern-go/reflect2';
  const isSource = (name: string) => /\.(go|s)$/.test(name);
  for (const name of readdirSync(vendored).filter(isSource)) rmSync(path.join(vendored, name));
  for (const name of readdirSync(mended).filter(isSource))
    copyFileSync(path.join(mended, name), path.join(vendored, name));
  for (const program of ['kube-apiserver', 'kube-controller-manager'])
    rmSync(path.join(cache, 'bin', program), { force: true });
  return true;
}

/** Loads an image with a shell and a web server, because the tool's own busybox has a link instead of the program. */
export function loadWebImage(name: string): void {
  const tree = mkdtempSync(path.join(os.tmpdir(), 'cali-web-'));
  try {
    for (const folder of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'www'])
      mkdirSync(path.join(tree, folder));
    copyFileSync('/bin/busybox', path.join(tree, 'bin', 'busybox'));
    for (const applet of [
      'sh',
      'httpd',
      'wget',
      'nc',
      'timeout',
      'hostname',
      'sleep',
      'cat',
      'ping',
      'kill',
      'grep',
      'tail',
      'rm',
      'touch',
      'ls',
    ])
      symlinkSync('busybox', path.join(tree, 'bin', applet));
    writeFileSync(path.join(tree, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\n');
    cluster('image', name, tree);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}
