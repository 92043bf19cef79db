/**
 * Prefixes that no peer may bring into a routing table: they mean this host, its link, or nothing (RFC 6890, RFC 4291
 * section 2.4). Ranges for documentation, private use and shared address space are ordinary here.
 */
import { type Cidr, contains, mustCidr } from './cidr.ts';

/** Each range with what it is for; the default routes are not inside any of them. */
export const martians: readonly { readonly range: Cidr; readonly name: string }[] = [
  ['0.0.0.0/8', 'this network'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['224.0.0.0/4', 'multicast'],
  ['255.255.255.255/32', 'broadcast'],
  // The unspecified address, loopback, and IPv4-compatible addresses, which are deprecated.
  ['::/96', 'unspecified, loopback or IPv4-compatible'],
  ['::ffff:0:0/96', 'IPv4-mapped'],
  ['fe80::/10', 'link-local'],
  ['ff00::/8', 'multicast'],
].map(([range, name]) => ({ range: mustCidr(range!), name: name! }));

/** Class E: martian as well, but for the parts of it that a cluster uses for its pods and services. */
export const reserved = { range: mustCidr('240.0.0.0/4'), name: 'reserved' };

/** The name of the range that holds a prefix; undefined for an ordinary one. */
export function martianName(prefix: Cidr): string | undefined {
  return martians.find(({ range }) => contains(range, prefix))?.name;
}
