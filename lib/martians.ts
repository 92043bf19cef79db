/**
 * Prefixes that no peer may add to a routing table, because they stand for this host, its link, or nothing (RFC 6890,
 * RFC 4291 section 2.4). Documentation, private and shared address ranges are ordinary prefixes here.
 */
import { type Cidr, contains, mustCidr } from './cidr.ts';

/** Each range with its purpose. The default routes are inside none of them. */
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

/** Class E is martian too, except the parts that a cluster uses for pods and services. */
export const reserved = { range: mustCidr('240.0.0.0/4'), name: 'reserved' };

/** The name of the range that contains a prefix; undefined for an ordinary prefix. */
export function martianName(prefix: Cidr): string | undefined {
  return martians.find(({ range }) => contains(range, prefix))?.name;
}
