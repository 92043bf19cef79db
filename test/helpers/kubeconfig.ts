/** A kubeconfig with two contexts: `here`, the current one, is the test's server; no server listens at `away`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export function kubeconfigText(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    clusters: [
      { name: 'here', cluster: { server } },
      { name: 'away', cluster: { server: 'http://127.0.0.1:1' } },
    ],
    users: [{ name: 'nobody', user: {} }],
    contexts: [
      { name: 'here', context: { cluster: 'here', user: 'nobody' } },
      { name: 'away', context: { cluster: 'away', user: 'nobody' } },
    ],
  });
}

/** Writes the kubeconfig into a new temporary folder; `remove` deletes the folder. */
export function temporaryKubeconfig(server: string): { path: string; remove: () => void } {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cali-kubeconfig-'));
  const file = path.join(folder, 'kubeconfig');
  writeFileSync(file, kubeconfigText(server));
  return { path: file, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
