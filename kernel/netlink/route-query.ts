/** Queries the route that packets to an address take. */
import { CodedError, messageOf } from '../../lib/errors.ts';
import type { KernelRoute } from '../../model/route.ts';
import { isMalformed } from './message.ts';
import { deviceNames } from './observe.ts';
import type { Failure } from './request.ts';
import { decodeRoute } from './rtnetlink/decode-route.ts';
import { routeQuery } from './rtnetlink/requests.ts';
import type { Sockets } from './sockets.ts';

/**
 * Returns the source address of packets to an address; undefined without a route. Throws CodedError FAILED when it is
 * unknown whether there is a route.
 */
export async function sourceOfPacketsTo(sockets: Sockets, address: string): Promise<string | undefined> {
  try {
    const found = await routeTo(sockets, address);
    return 'hops' in found ? found.source : undefined;
  } catch (cause) {
    throw new CodedError('FAILED', `route to ${address}: ${messageOf(cause)}`, { cause });
  }
}

/** Returns the route to an address in iproute2's syntax, or the kernel's refusal. Throws CodedError NETLINK. */
export async function routeText(sockets: Sockets, address: string): Promise<string> {
  const found = await routeTo(sockets, address);
  if (!('hops' in found)) return found.message;
  const { type, source, hops } = found;
  const words = hops.flatMap(({ gateway, device, isOnlink }) => [
    ...(gateway === undefined ? [] : ['via', gateway]),
    ...(device === undefined ? [] : ['dev', device]),
    ...(isOnlink ? ['onlink'] : []),
  ]);
  return [
    ...(type === 'unicast' ? [] : [type]),
    address,
    ...words,
    ...(source === undefined ? [] : ['src', source]),
  ].join(' ');
}

async function routeTo(sockets: Sockets, address: string): Promise<KernelRoute | Failure> {
  const nameOf = await deviceNames(sockets);
  const found = await sockets.query(routeQuery(address), ({ body }) => decodeRoute(body, nameOf));
  if (!found || isMalformed(found)) throw new CodedError('NETLINK', 'netlink: unreadable answer');
  return 'route' in found ? found.route : found;
}
