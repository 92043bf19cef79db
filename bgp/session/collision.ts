/** Two connections between the same two speakers: which one stays (RFC 4271 section 6.8). */
import { parseAddress } from '../../lib/cidr.ts';

/**
 * Called when an OPEN arrives on one connection while the other one is in OpenConfirm. The connection that
 * the speaker with the higher identifier opened stays; with equal identifiers (eBGP) the higher AS decides
 * (RFC 6286 section 2.3).
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
