/** Settings of cali-controllers from the environment (docs/configuration.md). */
import { reflectorNamespaces } from '../felix/calc/bgp/reflectors.ts';
import { parseAddress } from '../lib/cidr.ts';
import { isLabelName } from '../lib/kubernetes-names.ts';
import { isSeverity } from '../lib/log.ts';
import type { HttpAddress } from '../lib/moving-server.ts';
import { type Environment, Variables } from '../lib/variables.ts';

export interface ControllersConfig {
  readonly kubeconfig: string | undefined;
  readonly logSeverity: string;
  readonly health: HttpAddress;
  readonly metrics: HttpAddress;
  /** Namespaces whose Services may be route reflectors. */
  readonly reflectorNamespaces: readonly string[];
}

/** Throws CodedError CONFIG with a sentence that names the variable. */
export function readConfig(environment: Environment): ControllersConfig {
  const variables = new Variables(environment);
  const textIf = (name: string, isValid: (text: string) => boolean, remedy: string) =>
    variables.parsed(name, (text) => (isValid(text) ? text : undefined), remedy);
  const isHost = (text: string) => text === 'localhost' || parseAddress(text) !== undefined;
  const own = textIf('POD_NAMESPACE', isLabelName, 'must be a namespace: lower case letters, digits and "-"');
  const namespaces = (text: string) => {
    const names = reflectorNamespaces(text, own ?? 'kube-system');
    return names.every(isLabelName) ? names : undefined;
  };
  return {
    kubeconfig: variables.text('KUBECONFIG'),
    logSeverity: textIf('LOG_LEVEL', isSeverity, 'must be debug, info, warning or error') ?? 'info',
    // The kubelet probes health at the pod's address. Metrics are served only where the operator allows it.
    health: { host: '0.0.0.0', port: variables.whole('HEALTH_PORT', 9095, 1, 65535) },
    metrics: {
      host: textIf('METRICS_HOST', isHost, 'must be an IP address or localhost') ?? '127.0.0.1',
      port: variables.whole('METRICS_PORT', 9094, 1, 65535),
    },
    reflectorNamespaces: variables.parsed(
      'CALI_REFLECTOR_NAMESPACES',
      namespaces,
      'must be namespaces separated by commas',
    ) ?? [own ?? 'kube-system'],
  };
}
