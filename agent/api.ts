/** Connects to the API server. */
import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { loadApiServerAddress } from '../datastore/kubernetes/load-address.ts';
import { RequestCounter } from '../datastore/kubernetes/request-metrics.ts';
import type { ApiPort } from './wiring.ts';

/** Rejects with CodedError CONFIG when the settings do not name a server. */
export async function connectApi(kubeconfig: string | undefined): Promise<ApiPort> {
  const address = await loadApiServerAddress(kubeconfig);
  const requests = new RequestCounter();
  return {
    client: new KubernetesClient(address, requests),
    hostname: address.url.hostname,
    register: (registry) => requests.register(registry),
  };
}
