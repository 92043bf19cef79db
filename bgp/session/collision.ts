/** Connection collision resolution (RFC 4271 section 6.8). */
import { parseAddress } from '../../lib/cidr.ts';

/**
 * Returns which connection to keep when an OPEN arrives on one while the other is in OpenConfirm: the one that the
 * speaker with the higher identifier opened. With equal identifiers, the higher AS number wins (RFC 6286 section 2.3).
 */
export function survivor(
  local: { readonly identifier: string; readonly asNumber: number },
  remote: { readonly identifier: string; readonly asNumber: number },
): 'outgoing' | 'incoming' {
  const mine = parseAddress(local.identifier)!.value;
  const theirs = parseAddress(remote.identifier)!.value;
  const isMineHigher = mine === theirs ? local.asNumber > remote.asNumber : mine > theirs;
  return isMineHigher ? 'outgoing' : 'incoming';
}
