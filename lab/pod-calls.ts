/** A pod of the lab as the container runtime sees it: its namespace and its CNI calls. */
import path from 'node:path';
import { CNI_SOCKET } from '../agent/report/status.ts';
import { callCni } from '../cni/client.ts';

const NETWORK = JSON.stringify({ cniVersion: '1.0.0', name: 'k8s-pod-network', type: 'cali' });
/** Kubernetes namespace of every pod. */
export const NAMESPACE = 'default';

/** No node's namespace has such a name: names have no underscore. */
export function netnsName(pod: string): string {
  return `pod_${pod}`;
}

/** Returns the CNI_* variables of a call for a pod. */
export function podEnvironment(command: string, name: string, netns: string): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: `lab-${name}`,
    CNI_NETNS: netns,
    CNI_IFNAME: 'eth0',
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${NAMESPACE};K8S_POD_NAME=${name}`,
  };
}

/** Sends a CNI call to the agent with this run directory. */
export function callAgent(runDirectory: string, environment: Readonly<Record<string, string>>) {
  return callCni(path.join(runDirectory, CNI_SOCKET), { environment, stdin: NETWORK });
}
