/** Selects the source of the address, and loads only the module for it. */
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CodedError } from '../../lib/errors.ts';
import type { ApiServerAddress } from './api-server-address.ts';

/**
 * Returns the address from the first source that applies: the given kubeconfig file, $KUBECONFIG, the pod's service
 * account, ~/.kube/config. `context` is a context of the file, by default its current-context. Rejects with CodedError
 * KUBECONFIG and a sentence.
 */
export async function loadApiServerAddress(
  file: string | undefined,
  context?: string,
): Promise<ApiServerAddress> {
  const source = file ?? defaultFile();
  if (source === undefined && context !== undefined)
    throw new CodedError(
      'KUBECONFIG',
      `--context ${context}: there is no kubeconfig file, only the service account: set KUBECONFIG to a file.`,
    );
  if (source === undefined) {
    const { serviceAccountAddress } = await import('./service-account.ts');
    return serviceAccountAddress();
  }
  const { kubeconfigAddress } = await import('./kube-config.ts');
  return kubeconfigAddress(source, context);
}

function defaultFile(): string | undefined {
  const fromEnvironment = process.env['KUBECONFIG'];
  if (fromEnvironment) return fromEnvironment;
  if (process.env['KUBERNETES_SERVICE_HOST']) return undefined;
  const home = path.join(os.homedir(), '.kube', 'config');
  if (existsSync(home)) return home;
  throw new CodedError(
    'KUBECONFIG',
    `no cluster: KUBECONFIG is not set, ${home} does not exist, and this is not a pod. Set KUBECONFIG to a kubeconfig file.`,
  );
}
