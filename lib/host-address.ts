/** Addresses that a host can have on a shared network (RFC 6890, RFC 5156). */
import { type Address, type Cidr, contains, type Family, mustCidr } from './cidr.ts';

const excluded: Readonly<Record<Family, readonly (readonly [range: Cidr, reason: string])[]>> = {
  4: [
    [mustCidr('0.0.0.0/8'), 'is not the address of a host'],
    [mustCidr('127.0.0.0/8'), 'is a loopback address'],
    [mustCidr('224.0.0.0/4'), 'is a multicast address'],
    // The rest of class E is reserved, but Linux accepts it and some clusters use it.
    [mustCidr('255.255.255.255/32'), 'is the broadcast address'],
  ],
  6: [
    [mustCidr('::/128'), 'is the unspecified address'],
    [mustCidr('::1/128'), 'is a loopback address'],
    [mustCidr('::ffff:0:0/96'), 'is an IPv4-mapped address'],
    [mustCidr('fe80::/10'), 'is a link-local address'],
    [mustCidr('ff00::/8'), 'is a multicast address'],
  ],
};

/** Why a reachable host cannot have this address, such as `is a multicast address`; undefined when it can. */
export function whyNoHost({ family, value }: Address): string | undefined {
  return excluded[family].find(([range]) => contains(range, { family, value }))?.[1];
}
