/** Connection to the API from --kubeconfig, --context and calicoctl's --config file. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { ApiServerAddress } from '../datastore/kubernetes/api-server-address.ts';
import { loadApiServerAddress } from '../datastore/kubernetes/load-address.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import { parseYaml } from '../lib/yaml.ts';

export interface ConnectionFlags {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly config?: string | undefined;
}

/** Returns the endpoint. Throws CodedError INPUT or KUBECONFIG with a sentence. */
export async function connect({ kubeconfig, context, config }: ConnectionFlags): Promise<ApiServerAddress> {
  const configured = config === undefined ? undefined : await kubeconfigOf(config);
  return loadApiServerAddress(kubeconfig ?? configured, context);
}

const calicoApiConfig = z.looseObject({
  kind: z.literal('CalicoAPIConfig'),
  spec: z
    .looseObject({ datastoreType: z.string().optional(), kubeconfig: z.string().optional() })
    .default({}),
});

/** Returns the kubeconfig in a CalicoAPIConfig; undefined to use the environment. */
async function kubeconfigOf(file: string): Promise<string | undefined> {
  let value: unknown;
  try {
    value = parseYaml(await readFile(file, 'utf8'));
  } catch (error) {
    throw new CodedError('INPUT', `--config ${file}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const parsed = calicoApiConfig.safeParse(value);
  if (!parsed.success)
    throw new CodedError('INPUT', `--config ${file}: is not a CalicoAPIConfig: use --kubeconfig FILE`);
  const { datastoreType = 'kubernetes', kubeconfig, ...others } = parsed.data.spec;
  if (datastoreType !== 'kubernetes')
    throw new CodedError(
      'INPUT',
      `--config ${file}: spec.datastoreType is ${datastoreType}: use kubernetes, because Cali stores everything in the Kubernetes API`,
    );
  const [unused] = Object.keys(others).filter((key) => key.startsWith('k8s'));
  if (unused !== undefined)
    throw new CodedError('INPUT', `--config ${file}: spec.${unused} is not supported: set spec.kubeconfig`);
  return kubeconfig;
}
