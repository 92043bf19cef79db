/** BGP identifiers that are not addresses (Calico: `CALICO_ROUTER_ID=hash`). */
import { createHash } from 'node:crypto';

/** Returns a dotted quad from the hash of a name. */
export function hashedRouterId(name: string): string {
  const hash = createHash('sha256').update(name).digest();
  // Below the multicast range.
  const first = hash[0]! > 223 ? hash[0]! - 32 : hash[0]!;
  return [Math.max(1, first), hash[1], hash[2], hash[3]].join('.');
}
