/**
 * Connections of this process to API servers. When a local address is removed from the host, the kernel keeps its
 * connections without an error: requests time out one after the other, and watches are silent for a minute.
 */
import type { Socket } from 'node:net';

/** Bounded by the connections that HTTP agents keep. */
const open = new Set<Socket>();

/** Follows a socket until it is closed. */
export function trackSocket(socket: Socket): void {
  if (open.has(socket)) return;
  open.add(socket);
  socket.once('close', () => open.delete(socket));
}

/**
 * Closes connections from addresses that this host no longer has, except local and link-local ones. `addresses` is the
 * host's, as canonical text. Requests on them fail, and retries use new connections. Returns the number closed.
 */
export function closeSocketsFromOthers(addresses: ReadonlySet<string>): number {
  const dead = [...open].filter(
    ({ localAddress }) => localAddress !== undefined && isGone(localAddress, addresses),
  );
  for (const socket of dead) socket.destroy(new Error('its local address is no longer on this host'));
  return dead.length;
}

function isGone(text: string, addresses: ReadonlySet<string>): boolean {
  const address = text.replace(/^::ffff:(?=\d+\.)/, '').replace(/%.*$/, '');
  return !/^(127\.|::1$|fe80:)/.test(address) && !addresses.has(address);
}
