/** Two attachments that want the same interface name. */
import type { Endpoint } from '../model/endpoint.ts';
import type { Attachment } from './attachment.ts';
import { CniCode, CniError } from './types.ts';

/**
 * Checks that an endpoint with the same interface name may be replaced: only that of a former container of the same
 * pod. Interface names hold 44 bits of a hash, so those of two pods can collide, and a container can request a second
 * interface. Neither may break a working pod. Throws CniError.
 */
export function assertReplaceable(
  former: Endpoint,
  { containerId, interfaceName, pod }: Pick<Attachment, 'containerId' | 'interfaceName' | 'pod'>,
): void {
  const isSamePod = pod
    ? former.namespace === pod.namespace && former.pod === pod.name
    : former.pod === undefined && former.containerId === containerId;
  if (isSamePod && (former.containerId !== containerId || former.containerInterface === interfaceName))
    return;
  const holder = former.pod ? `pod ${former.namespace}/${former.pod}` : `container ${former.containerId}`;
  const remedy = isSamePod ? 'a pod can have only one interface' : 'delete it, or give this pod another name';
  throw new CniError(
    CniCode.NETWORK_SETUP,
    `interface ${former.interfaceName} belongs to ${holder} (${former.containerInterface}): ${remedy}`,
  );
}
