/** Stops Kubernetes' own processes and restarts them as the tool started them. */
import { spawn } from 'node:child_process';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { until } from '../helpers/lab.ts';

const state = process.env['CLUSTER_STATE'] ?? '/var/lib/kube-cluster';

/**
 * Ends a process of the control plane or of a node (`apiserver`, `etcd`, `node3-kubelet`). Returns a function that
 * starts it again in the same namespaces.
 */
export async function stopDaemon(name: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<() => void> {
  const file = path.join(state, 'pids', name);
  const pid = Number(readFileSync(file, 'utf8'));
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  const environment = Object.fromEntries(
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .filter(Boolean)
      .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
  const node = /^(node\d+)-/.exec(name)?.[1];
  process.kill(pid, signal);
  await until(`${name} has ended`, 20_000, () => !isThere(pid));
  return () => {
    const enter = node
      ? [
          'nsenter',
          '-t',
          readFileSync(path.join(state, 'nodes', node, 'pid'), 'utf8').trim(),
          '-n',
          '-m',
          '-u',
          '--',
        ]
      : ['ip', 'netns', 'exec', 'kc-cp'];
    const log = openSync(path.join(state, 'logs', name), 'a');
    const child = spawn(enter[0]!, [...enter.slice(1), ...command], {
      detached: true,
      stdio: ['ignore', log, log],
      env: environment,
    });
    child.unref();
    writeFileSync(file, `${child.pid}\n`);
  };
}

function isThere(pid: number): boolean {
  try {
    // A zombie counts as ended.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
