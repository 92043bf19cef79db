/**
 * Connections of this process to API servers. The kernel keeps one whose local address has gone from this host, and says
 * nothing: its requests time out one after the other, and its watches are silent for a minute.
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
 * Closes the connections from addresses that this host does not have any more, canonical text; those within the host and
 * those from link-local addresses stay. Their requests fail, are tried again, and take new connections. Returns how many.
 */
export function closeSocketsFromOthers(addresses: ReadonlySet<string>): number {
  const dead = [...open].filter(
    ({ localAddress }) => localAddress !== undefined && isGone(localAddress, addresses),
  );
  for (const socket of dead) socket.destroy(new Error('its local address is not on this host any more'));
  return dead.length;
}

function isGone(text: string, addresses: ReadonlySet<string>): boolean {
  const address = text.replace(/^::ffff:(?=\d+\.)/, '').replace(/%.*$/, '');
  return !/^(127\.|::1$|fe80:)/.test(address) && !addresses.has(address);
}
