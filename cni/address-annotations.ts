/** Annotations in which Calico's components find the addresses of a pod. */
import type { Datastore } from '../datastore/datastore.ts';
import { podAnnotations, podKind } from '../datastore/schema/core.ts';
import { hostCidr } from '../lib/cidr.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Endpoint } from '../model/endpoint.ts';

/** Writes the pod's addresses to Calico's annotations (Calico C-015). */
export async function writeAnnotations(
  store: Datastore,
  { namespace, pod, addresses, containerId }: Endpoint,
): Promise<void> {
  if (!namespace || !pod) return;
  const hosts = addresses.map(hostCidr);
  const annotations = {
    [podAnnotations.podIP]: hosts[0] ?? '',
    [podAnnotations.podIPs]: hosts.join(','),
    [podAnnotations.containerID]: containerId,
  };
  await store.patch(podKind, pod, { metadata: { annotations } }, { namespace, isStatus: true });
}

/** Empties the annotations, meaning "released". Does nothing if a later container of the pod has written its ID. */
export async function clearAnnotations(
  { store, log }: { store: Datastore; log: Log },
  { namespace, pod, containerId }: Endpoint,
): Promise<void> {
  if (!namespace || !pod) return;
  try {
    const object = await store.get(podKind, pod, namespace);
    if (object?.metadata.annotations?.[podAnnotations.containerID] !== containerId) return;
    const annotations = { [podAnnotations.podIP]: '', [podAnnotations.podIPs]: '' };
    await store.patch(podKind, pod, { metadata: { annotations } }, { namespace, isStatus: true });
  } catch (error) {
    // The pod is being deleted; a stale annotation must not delay that.
    log.debug({ pod, reason: messageOf(error) }, 'annotation not cleared');
  }
}
