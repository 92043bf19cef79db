/** BGP identifiers that are not addresses (Calico: `CALICO_ROUTER_ID=hash`). */
import { createHash } from 'node:crypto';

/** Returns a dotted quad from the hash of a name. */
export function hashedRouterId(name: string): string {
  const [first = 0, ...rest] = createHash('sha256').update(name).digest();
  // Below the multicast range.
  const unicast = first > 223 ? first - 32 : first;
  return [Math.max(1, unicast), ...rest.slice(0, 3)].join('.');
}
