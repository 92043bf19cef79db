/** A TCP connection that carries messages. Reads are framed; faults arrive as events. */
import net, { type Socket } from 'node:net';
import os from 'node:os';
import { messageOf } from '../../lib/errors.ts';
import { type Frame, Framer } from '../wire/framer.ts';
import { type NotificationBody, WireError } from '../wire/wire-error.ts';
import { native } from './native.ts';
import {
  applyToConnection,
  descriptorOf,
  dialSocket,
  type SecurityOptions,
  setConnectionKey,
  setConnectionTtl,
  tcpInfo,
} from './socket-options.ts';
import type { TcpInfo } from './tcp-info.ts';

export interface ConnectionEvents {
  connected(): void;
  frame(frame: Frame): void;
  /** A message that cannot be accepted. */
  error(notification: NotificationBody, reason: string): void;
  disconnected(reason: string): void;
  /** The peer reads again after it had stopped. */
  drained(): void;
  /** One of the functions above threw something else than WireError. Must not throw. */
  fault(error: unknown): void;
}

export interface Remote extends SecurityOptions {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;
const SILENT_RETRANSMISSIONS = 2;

/** Our link-local address where the peer's is one: left to itself, the kernel takes a global address. */
function linkLocalFor(peer: string): string | undefined {
  const [, zone] = peer.split('%');
  const own = zone
    ? os.networkInterfaces()[zone]?.find(({ address }) => address.startsWith('fe80:'))
    : undefined;
  return own && `${own.address}%${zone}`;
}

export class Connection {
  readonly isOutgoing: boolean;
  readonly #socket: Socket;
  readonly #framer = new Framer();
  readonly #events: ConnectionEvents;
  #isClosed = false;
  #isPaused = false;
  #sent = 0;

  private constructor(socket: Socket, isOutgoing: boolean, events: ConnectionEvents) {
    this.#socket = socket;
    this.isOutgoing = isOutgoing;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('drain', () => this.#guard(() => events.drained()));
    socket.on('error', (error: NodeJS.ErrnoException) => this.#lost(describeSocketError(error)));
    socket.on('end', () => this.#lost('the peer closed the connection'));
    socket.on('close', () => this.#lost('the connection was closed'));
  }

  /** Dials; the outcome is an event. Throws CodedError BGP_SOCKET when the options cannot be had. */
  static dial(remote: Remote, events: ConnectionEvents): Connection {
    const localAddress = remote.localAddress ?? linkLocalFor(remote.address);
    const target = {
      host: remote.address,
      port: remote.port,
      autoSelectFamily: false,
      ...(localAddress ? { localAddress } : {}),
    };
    const fd = dialSocket(remote.address, remote);
    // manualStart is Node's own option for a socket that is not connected yet; a system test pins it.
    const options = { fd: fd!, manualStart: true, readable: true, writable: true };
    const socket = (fd === undefined ? new net.Socket() : new net.Socket(options)).connect(target);
    const connection = new Connection(socket, true, events);
    const timer = setTimeout(() => connection.#lost('connect timed out'), CONNECT_TIMEOUT_MS);
    socket.once('connect', () => {
      clearTimeout(timer);
      if (!connection.#isClosed) connection.#guard(() => events.connected());
    });
    socket.once('close', () => clearTimeout(timer));
    return connection;
  }

  /** Takes over a connection that came in. Throws CodedError BGP_SOCKET when the options cannot be had. */
  static accept(socket: Socket, remote: Remote, events: ConnectionEvents): Connection {
    applyToConnection(socket, remote.address, remote);
    return new Connection(socket, false, events);
  }

  /** Our address on this connection. */
  get localAddress(): string {
    return (this.#socket.localAddress ?? '').replace(/^::ffff:/, '');
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  get remotePort(): number {
    return this.#socket.remotePort ?? 0;
  }

  /** Octets that wait for the peer to read. */
  get queued(): number {
    return this.#socket.writableLength;
  }

  /** Octets that the kernel has taken since the connection was made. */
  get delivered(): number {
    return this.#sent - this.#socket.writableLength;
  }

  /** Another key of RFC 2385 and another minimum TTL, from the next segment on. Throws CodedError BGP_SOCKET. */
  secure({ address, password, ttlSecurityHops }: Remote): void {
    if (this.#isClosed) return;
    setConnectionKey(this.#socket, address, password);
    setConnectionTtl(this.#socket, address, ttlSecurityHops);
  }

  /**
   * Lets segments with any TTL in while the peer leaves retransmissions unacknowledged, and only then. The RST of a kernel
   * that has restarted leaves with the host's TTL, usually 64, so GTSM would hide that the connection is gone. TCP still
   * wants its exact sequence number (RFC 5961 section 3). True while they are let in.
   */
  admitResets({ address, ttlSecurityHops }: Remote): boolean {
    const isSilent = (this.tcpInfo?.retransmits ?? 0) >= SILENT_RETRANSMISSIONS;
    if (!this.#isClosed) setConnectionTtl(this.#socket, address, isSilent ? undefined : ttlSecurityHops);
    return isSilent;
  }

  /** What TCP knows about the other end; undefined without koffi. */
  get tcpInfo(): TcpInfo | undefined {
    return this.#isClosed ? undefined : tcpInfo(this.#socket);
  }

  /** Octets read since the connection was made. */
  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  /** Hands out no message until `resume`; what arrives stays in the kernel. */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    // What is left of the chunk that the last message came in.
    this.#receive(new Uint8Array());
    if (!this.#isPaused && !this.#isClosed) this.#socket.resume();
  }

  allowExtended(): void {
    this.#framer.allowExtended();
  }

  /** Queues whole messages. The bytes must not be changed afterwards. */
  send(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    this.#sent += bytes.length;
    const taken = this.#socket.writableLength === 0 ? this.#sendAtOnce(bytes) : 0;
    if (taken < bytes.length) this.#socket.write(taken === 0 ? bytes : bytes.subarray(taken));
  }

  /** Closes after what was sent has left. No event follows. */
  close(): void {
    this.#isClosed = true;
    // An attempt that is given up must not connect after all: a retransmitted SYN would.
    if (this.#socket.connecting) {
      this.#socket.destroy();
      return;
    }
    this.#socket.end();
    // A peer that never closes its side must not hold the socket.
    setTimeout(() => this.#socket.destroy(), 1000).unref();
  }

  /** Straight to the kernel, past the stream, whose queue is empty. Octets taken. */
  #sendAtOnce(bytes: Uint8Array): number {
    const calls = native();
    const fd = descriptorOf(this.#socket);
    // What fails here fails in the stream again, which then reports it.
    return calls && fd >= 0 && !this.#socket.connecting ? Math.max(0, calls.send(fd, bytes)) : 0;
  }

  #receive(chunk: Uint8Array): void {
    if (this.#isClosed) return;
    try {
      this.#framer.push(chunk, (frame) => {
        this.#events.frame(frame);
        return !this.#isClosed && !this.#isPaused;
      });
    } catch (error) {
      if (!(error instanceof WireError)) this.#events.fault(error);
      else if (!this.#isClosed) this.#guard(() => this.#events.error(error.notification, messageOf(error)));
    }
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#events.fault(error);
    }
  }

  #lost(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroy();
    this.#guard(() => this.#events.disconnected(reason));
  }
}

function describeSocketError(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'Connection refused';
    case 'EHOSTUNREACH':
      return 'No route to host';
    case 'ENETUNREACH':
      return 'Network is unreachable';
    case 'ETIMEDOUT':
      return 'Connection timed out';
    case 'ECONNRESET':
      return 'Connection reset by peer';
    case 'EADDRNOTAVAIL':
      return 'Source address is not on this node';
    default:
      return messageOf(error);
  }
}
