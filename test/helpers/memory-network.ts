/**
 * A network in memory for complete speakers. It delivers octets in order, after a random delay. A cut link delivers
 * nothing, as with TCP: after `heal`, what was sent arrives, unless a side has closed the connection.
 */
import type {
  Connection,
  ConnectionEvents,
  Incoming,
  Listener,
  ListenOptions,
  Remote,
  Transport,
} from '../../bgp/transport/port.ts';
import { encodeMessage } from '../../bgp/wire/message.ts';
import type { NotificationBody } from '../../bgp/wire/wire-error.ts';
import { MemoryEnd } from './memory-connection.ts';
import type { VirtualTime } from './virtual-time.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const FIRST_PORT = 49_152;

export class MemoryNetwork {
  readonly time: VirtualTime;
  readonly #listeners = new Map<string, MemoryListener>();
  readonly #cut = new Set<string>();
  readonly #waiting = new Set<() => void>();
  #nextPort = FIRST_PORT;

  constructor(time: VirtualTime) {
    this.time = time;
  }

  /** The transport of the host with this address. */
  host(address: string): Transport {
    return {
      listener: ({ port, addresses = [address] }: ListenOptions, incoming) =>
        new MemoryListener(
          addresses.map((one) => `${one}|${port}`),
          this.#listeners,
          incoming,
        ),
      dial: (remote, events) => this.#dial(remote.localAddress ?? address, remote, events),
    };
  }

  cut(a: string, b: string): void {
    this.#cut.add(linkOf(a, b));
  }

  /** Restores all links. */
  heal(): void {
    this.#cut.clear();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const run of waiting) run();
  }

  /** Runs the callback after the delay of the link, and not while the link is cut. */
  deliver(from: string, to: string, run: () => void): void {
    this.time.after(1 + this.time.below(5), () => {
      if (this.#cut.has(linkOf(from, to))) this.#waiting.add(() => this.deliver(from, to, run));
      else run();
    });
  }

  #dial(from: string, remote: Remote, events: ConnectionEvents): Connection {
    const { address, port } = remote;
    const near = new MemoryEnd(this, { local: from, remote: address }, true, this.#nextPort++, port);
    near.open(events);
    const cancel = this.time.after(CONNECT_TIMEOUT_MS, () => near.lose('connect timed out'));
    this.deliver(from, address, () => {
      if (near.isClosed) return;
      const listener = this.#listeners.get(`${address}|${port}`);
      const far = new MemoryEnd(this, { local: address, remote: from }, false, port, near.localPort);
      near.join(far);
      // The kernel of the other side answers before its process accepts.
      this.deliver(address, from, () => {
        cancel();
        if (listener) near.connected();
        else near.lose('Connection refused');
      });
      listener?.incoming(new MemoryIncoming(from, far));
    });
    return near;
  }
}

class MemoryListener implements Listener {
  readonly #keys: readonly string[];
  readonly #listeners: Map<string, MemoryListener>;
  readonly incoming: (connection: Incoming) => void;

  constructor(
    keys: readonly string[],
    listeners: Map<string, MemoryListener>,
    incoming: (connection: Incoming) => void,
  ) {
    this.#keys = keys;
    this.#listeners = listeners;
    this.incoming = incoming;
  }

  async listen(): Promise<void> {
    for (const key of this.#keys) this.#listeners.set(key, this);
  }

  setKey(): undefined {
    return undefined;
  }

  isFresh(): boolean {
    return false;
  }

  async close(): Promise<void> {
    for (const key of this.#keys) this.#listeners.delete(key);
  }
}

class MemoryIncoming implements Incoming {
  readonly address: string;
  readonly #end: MemoryEnd;

  constructor(address: string, end: MemoryEnd) {
    this.address = address;
    this.#end = end;
  }

  handshakeTtl(): number {
    return 255;
  }

  accept(_: Remote, events: ConnectionEvents): Connection {
    this.#end.open(events);
    return this.#end;
  }

  refuse(body: NotificationBody): void {
    this.#end.send(encodeMessage({ type: 'notification', ...body }, { isFourOctetAs: true, isIbgp: false }));
    this.#end.close();
  }

  destroy(): void {
    this.#end.close();
  }
}

function linkOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
