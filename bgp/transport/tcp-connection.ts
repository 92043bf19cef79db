/** A TCP connection for BGP messages, with the options of socket-options.ts. */
import net, { type Socket } from 'node:net';
import os from 'node:os';
import { messageOf } from '../../lib/errors.ts';
import { Framer } from '../wire/framer.ts';
import { WireError } from '../wire/wire-error.ts';
import { native } from './native.ts';
import type { Connection, ConnectionEvents, Remote } from './port.ts';
import {
  applyToConnection,
  descriptorOf,
  dialSocket,
  setConnectionKey,
  setConnectionTtl,
  tcpInfo,
} from './socket-options.ts';
import type { TcpInfo } from './tcp-info.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const SILENT_RETRANSMISSIONS = 2;

/** Our link-local address for a link-local peer, because the kernel would choose a global one. */
function linkLocalFor(peer: string): string | undefined {
  const [, zone] = peer.split('%');
  const own = zone
    ? os.networkInterfaces()[zone]?.find(({ address }) => address.startsWith('fe80:'))
    : undefined;
  return own && `${own.address}%${zone}`;
}

export class TcpConnection implements Connection {
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

  /** Dials. The outcome is an event. Throws CodedError BGP_SOCKET when the kernel refuses an option. */
  static dial(remote: Remote, events: ConnectionEvents): TcpConnection {
    const localAddress = remote.localAddress ?? linkLocalFor(remote.address);
    const target = {
      host: remote.address,
      port: remote.port,
      autoSelectFamily: false,
      ...(localAddress ? { localAddress } : {}),
    };
    const fd = dialSocket(remote.address, remote);
    // manualStart is Node's internal option for a socket that is not connected yet. A system test relies on it.
    const options = { fd: fd!, manualStart: true, readable: true, writable: true };
    const socket = (fd === undefined ? new net.Socket() : new net.Socket(options)).connect(target);
    const connection = new TcpConnection(socket, true, events);
    const timer = setTimeout(() => connection.#lost('connect timed out'), CONNECT_TIMEOUT_MS);
    socket.once('connect', () => {
      clearTimeout(timer);
      if (!connection.#isClosed) connection.#guard(() => events.connected());
    });
    socket.once('close', () => clearTimeout(timer));
    return connection;
  }

  /** Wraps an incoming connection. Throws CodedError BGP_SOCKET when the kernel refuses an option. */
  static accept(socket: Socket, remote: Remote, events: ConnectionEvents): TcpConnection {
    applyToConnection(socket, remote.address, remote);
    return new TcpConnection(socket, false, events);
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

  /** Octets queued for the peer. */
  get queued(): number {
    return this.#socket.writableLength;
  }

  /** Octets that the kernel accepted since the connection was made. */
  get delivered(): number {
    return this.#sent - this.#socket.writableLength;
  }

  /** Sets another key (RFC 2385) and minimum TTL from the next segment on. Throws CodedError BGP_SOCKET. */
  secure({ address, password, ttlSecurityHops }: Remote): void {
    if (this.#isClosed) return;
    setConnectionKey(this.#socket, address, password);
    setConnectionTtl(this.#socket, address, ttlSecurityHops);
  }

  /**
   * Accepts segments with any TTL, but only while the peer leaves retransmissions unacknowledged. A restarted kernel sends
   * its RST with the host's TTL, usually 64, so GTSM would hide that the connection is gone. TCP still demands the exact
   * sequence number (RFC 5961 section 3). Returns true while any TTL is accepted.
   */
  admitResets({ address, ttlSecurityHops }: Remote): boolean {
    const isSilent = (this.tcpInfo?.retransmits ?? 0) >= SILENT_RETRANSMISSIONS;
    if (!this.#isClosed) setConnectionTtl(this.#socket, address, isSilent ? undefined : ttlSecurityHops);
    return isSilent;
  }

  /** TCP's view of the other end; undefined without koffi. */
  get tcpInfo(): TcpInfo | undefined {
    return this.#isClosed ? undefined : tcpInfo(this.#socket);
  }

  /** Octets read since the connection was made. */
  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  /** Stops delivering messages until `resume`. New data stays in the kernel. */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    // The rest of the chunk with the last message.
    this.#receive(new Uint8Array());
    if (!this.#isPaused && !this.#isClosed) this.#socket.resume();
  }

  allowExtended(): void {
    this.#framer.allowExtended();
  }

  /** Queues complete messages. The caller must not change the bytes afterwards. */
  send(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    this.#sent += bytes.length;
    const taken = this.#socket.writableLength === 0 ? this.#sendAtOnce(bytes) : 0;
    if (taken < bytes.length) this.#socket.write(taken === 0 ? bytes : bytes.subarray(taken));
  }

  /** Closes after the queued data. No event follows. */
  close(): void {
    this.#isClosed = true;
    // Destroy an abandoned attempt, or a retransmitted SYN could still connect.
    if (this.#socket.connecting) {
      this.#socket.destroy();
      return;
    }
    this.#socket.end();
    // Do not let a peer that never closes its side hold the socket.
    setTimeout(() => this.#socket.destroy(), 1000).unref();
  }

  /** Writes directly to the kernel while the stream's queue is empty. Returns the accepted octets. */
  #sendAtOnce(bytes: Uint8Array): number {
    const calls = native();
    const fd = descriptorOf(this.#socket);
    // The stream fails in the same way and reports the error.
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
