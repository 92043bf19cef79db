/** Which API it is: each way is loaded when it is taken. */
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CodedError } from '../../lib/errors.ts';
import type { Endpoint } from './endpoint.ts';

/**
 * Endpoint from a kubeconfig file, from $KUBECONFIG, from the pod's service account, or from
 * ~/.kube/config, the first that applies. `context` is one of the file's; its current-context where undefined. Rejects
 * with CodedError KUBECONFIG and a sentence.
 */
export async function loadEndpoint(file: string | undefined, context?: string): Promise<Endpoint> {
  const source = file ?? defaultFile();
  if (source === undefined && context !== undefined)
    throw new CodedError(
      'KUBECONFIG',
      `--context ${context}: there is no kubeconfig file, only the service account: set KUBECONFIG to a file.`,
    );
  if (source === undefined) {
    const { serviceAccountEndpoint } = await import('./service-account.ts');
    return serviceAccountEndpoint();
  }
  const { fileEndpoint } = await import('./kube-config.ts');
  return fileEndpoint(source, context);
}

function defaultFile(): string | undefined {
  const fromEnvironment = process.env['KUBECONFIG'];
  if (fromEnvironment) return fromEnvironment;
  if (process.env['KUBERNETES_SERVICE_HOST']) return undefined;
  const home = path.join(os.homedir(), '.kube', 'config');
  if (existsSync(home)) return home;
  throw new CodedError(
    'KUBECONFIG',
    `no cluster: KUBECONFIG is not set, ${home} does not exist, and this is no pod. Set KUBECONFIG to a kubeconfig file.`,
  );
}
