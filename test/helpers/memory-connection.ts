/** One end of a connection of memory-network.ts. */
import type { Connection, ConnectionEvents } from '../../bgp/transport/port.ts';
import { Framer } from '../../bgp/wire/framer.ts';
import { WireError } from '../../bgp/wire/wire-error.ts';
import { messageOf } from '../../lib/errors.ts';

/** The network below the connection. */
export interface Link {
  /** Runs the callback at the other side, after a delay. */
  deliver(from: string, to: string, run: () => void): void;
}

/** The other side's receive buffer; octets above it stay queued at the sender. */
const WINDOW = 1 << 16;

export class MemoryEnd implements Connection {
  readonly isOutgoing: boolean;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remotePort: number;
  readonly tcpInfo = undefined;
  readonly #network: Link;
  readonly #remoteAddress: string;
  readonly #framer = new Framer();
  #events: ConnectionEvents | undefined;
  #other: MemoryEnd | undefined;
  /** Sent, and not yet in the other side's buffer. */
  readonly #outbox: Uint8Array[] = [];
  readonly #inbox: Uint8Array[] = [];
  #inboxOctets = 0;
  #isSending = false;
  #isPaused = false;
  #isClosing = false;
  isClosed = false;
  queued = 0;
  delivered = 0;
  bytesRead = 0;

  constructor(
    network: Link,
    { local, remote }: { local: string; remote: string },
    isOutgoing: boolean,
    localPort: number,
    remotePort: number,
  ) {
    this.#network = network;
    this.localAddress = local;
    this.#remoteAddress = remote;
    this.isOutgoing = isOutgoing;
    this.localPort = localPort;
    this.remotePort = remotePort;
  }

  open(events: ConnectionEvents): void {
    this.#events = events;
  }

  join(other: MemoryEnd): void {
    this.#other = other;
    other.#other = this;
  }

  connected(): void {
    if (!this.isClosed) this.#guard((events) => events.connected());
  }

  lose(reason: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#guard((events) => events.disconnected(reason));
  }

  secure(): void {}

  admitResets(): boolean {
    return false;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#read();
  }

  allowExtended(): void {
    this.#framer.allowExtended();
  }

  send(bytes: Uint8Array): void {
    if (this.isClosed || bytes.length === 0) return;
    this.#outbox.push(bytes.slice());
    this.queued += bytes.length;
    this.#pump();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#isClosing = true;
    this.#pump();
  }

  /** Moves the next chunk to the other side, then the end of the connection. */
  #pump(): void {
    const other = this.#other;
    if (this.#isSending || !other) return;
    if (this.#outbox.length === 0 && !this.#isClosing) return;
    if (this.#outbox.length > 0 && other.#inboxOctets >= WINDOW) return;
    this.#isSending = true;
    this.#network.deliver(this.localAddress, this.#remoteAddress, () => {
      this.#isSending = false;
      const chunk = this.#outbox.shift();
      if (!chunk) {
        this.#isClosing = false;
        other.lose('the peer closed the connection');
        return;
      }
      this.queued -= chunk.length;
      this.delivered += chunk.length;
      // A closed end answers with a reset.
      if (other.isClosed) this.lose('Connection reset by peer');
      else {
        other.#inbox.push(chunk);
        other.#inboxOctets += chunk.length;
        other.#read();
        if (this.queued === 0 && !this.isClosed) this.#guard((events) => events.drained());
      }
      this.#pump();
    });
  }

  #read(): void {
    while (!this.#isPaused && !this.isClosed) {
      const chunk = this.#inbox.shift();
      this.#inboxOctets -= chunk?.length ?? 0;
      this.bytesRead += chunk?.length ?? 0;
      this.#receive(chunk ?? new Uint8Array());
      if (!chunk) break;
    }
    const other = this.#other;
    if (other) other.#pump();
  }

  #receive(chunk: Uint8Array): void {
    const events = this.#events;
    if (!events) return;
    try {
      this.#framer.push(chunk, (frame) => {
        events.frame(frame);
        return !this.isClosed && !this.#isPaused;
      });
    } catch (error) {
      if (!(error instanceof WireError)) events.fault(error);
      else if (!this.isClosed) this.#guard(() => events.error(error.notification, messageOf(error)));
    }
  }

  #guard(run: (events: ConnectionEvents) => void): void {
    const events = this.#events;
    if (!events) return;
    try {
      run(events);
    } catch (error) {
      events.fault(error);
    }
  }
}
