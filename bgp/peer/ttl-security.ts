/** GTSM for connections that arrive (RFC 5082): the TTL of the handshake proves how far away the sender is. */
import type { Incoming } from '../transport/port.ts';
import { minimumTtl } from '../transport/socket-options.ts';

/**
 * Returns whether to accept a connection from at most `hops` hops away (undefined: from any distance), and when not, a
 * sentence for the operator if the TTL is known.
 */
export function checkDistance(
  incoming: Pick<Incoming, 'handshakeTtl'>,
  hops: number | undefined,
): { isAccepted: boolean; reason?: string } {
  if (hops === undefined) return { isAccepted: true };
  const ttl = incoming.handshakeTtl();
  if (ttl === undefined) return { isAccepted: false };
  const isAccepted = ttl >= minimumTtl(hops);
  return isAccepted ? { isAccepted } : { isAccepted, reason: describeTtl(ttl, hops) };
}

function describeTtl(ttl: number, hops: number): string {
  return `an incoming connection has TTL ${ttl}, but ttlSecurity ${hops} requires ${minimumTtl(hops)}: it is not from the peer, or routers lie between`;
}
