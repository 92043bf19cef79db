/** The port to the network: TCP in production (tcp.ts), memory in tests. Addresses are canonical text. */
import type { Frame } from '../wire/framer.ts';
import type { NotificationBody } from '../wire/wire-error.ts';
import type { TcpInfo } from './tcp-info.ts';

export interface Transport {
  /** Returns a listener, which accepts nothing before `listen`. `incoming` gets each connection that arrives. */
  listener(options: ListenOptions, incoming: (connection: Incoming) => void): Listener;
  /** Dials. The outcome is an event, never before this returns. Throws CodedError BGP_SOCKET when an option is refused. */
  dial(remote: Remote, events: ConnectionEvents): Connection;
}

export interface ListenOptions {
  readonly port: number;
  /** Listen only on these; undefined listens on every address. */
  readonly addresses: readonly string[] | undefined;
}

export interface Listener {
  /** Starts to listen. Throws CodedError BGP_LISTEN with a sentence for the operator. */
  listen(): Promise<void>;
  /** Sets the key of a peer's connections; undefined removes it. Returns the reason when it is refused. */
  setKey(peer: string, password: string | undefined): string | undefined;
  /** Whether an unsigned connection of the peer may predate its key. */
  isFresh(peer: string): boolean;
  close(): Promise<void>;
}

/** A connection that arrived, and that no peer has accepted yet. */
export interface Incoming {
  /** The address is written as in a BGPPeer, never IPv4-mapped. */
  readonly address: string;
  /** TTL of the segment that completed the handshake; undefined when it is unknown. */
  handshakeTtl(): number | undefined;
  /** Accepts it for a peer. Throws CodedError BGP_SOCKET when an option is refused. */
  accept(remote: Remote, events: ConnectionEvents): Connection;
  /** Refuses it with a NOTIFICATION. */
  refuse(body: NotificationBody): void;
  /** Closes it without NOTIFICATION. */
  destroy(): void;
}

export interface SecurityOptions {
  /** Key of RFC 2385, 1 to 80 octets. */
  readonly password: string | undefined;
  /** Maximum distance of the peer in hops (RFC 5082); undefined accepts any. */
  readonly ttlSecurityHops: number | undefined;
}

export interface Remote extends SecurityOptions {
  /** The peer's address as canonical text, a link-local one with `%interface`. With the port, the peer's identity. */
  readonly address: string;
  readonly port: number;
  readonly localAddress: string | undefined;
}

export interface ConnectionEvents {
  connected(): void;
  frame(frame: Frame): void;
  /** A message that the framer cannot accept. */
  error(notification: NotificationBody, reason: string): void;
  disconnected(reason: string): void;
  /** The peer reads again after a pause. */
  drained(): void;
  /** One of the functions above threw an error other than WireError. Must not throw. */
  fault(error: unknown): void;
}

/** A connection for BGP messages. It frames what it reads and reports faults as events. */
export interface Connection {
  readonly isOutgoing: boolean;
  /** Our address on this connection. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly remotePort: number;
  /** Octets queued for the peer. */
  readonly queued: number;
  /** Octets that the kernel accepted since the connection was made. */
  readonly delivered: number;
  /** TCP's view of the other end; undefined when it is unknown. */
  readonly tcpInfo: TcpInfo | undefined;
  /** Octets read since the connection was made. */
  readonly bytesRead: number;
  /** Sets another key (RFC 2385) and minimum TTL from the next segment on. Throws CodedError BGP_SOCKET. */
  secure(remote: Remote): void;
  /** Lets a reset pass GTSM while the peer acknowledges nothing. Returns true while any TTL is accepted. */
  admitResets(remote: Remote): boolean;
  /** Stops delivering messages until `resume`. */
  pause(): void;
  resume(): void;
  /** Accepts messages of up to 65,535 octets (RFC 8654). */
  allowExtended(): void;
  /** Queues complete messages. The caller must not change the bytes afterwards. */
  send(bytes: Uint8Array): void;
  /** Closes after the queued data. No event follows. */
  close(): void;
}
