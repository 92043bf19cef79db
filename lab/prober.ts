/**
 * Who reaches whom: a UDP socket in every pod and node that answers and asks. Packets are real ones, from one
 * network namespace through the kernel's routing to another; a reply counts only if it comes from the address
 * that was asked.
 */
import dgram, { type Socket } from 'node:dgram';
import type { Sockets } from './setns.ts';

export interface Probe {
  readonly from: string;
  readonly to: string;
  readonly address: string;
}

export interface FlowReport extends Probe {
  readonly sent: number;
  readonly lost: number;
  /** Longest run of lost probes in a row. */
  readonly longestGap: number;
}

interface Station {
  readonly sockets: Map<4 | 6, Socket>;
}

interface Flow extends Probe {
  sent: number;
  readonly answered: Set<number>;
}

const PORT = 7007;
const RETRY_MS = 100;

export class Prober {
  readonly #sockets: Sockets;
  readonly #stations = new Map<string, Station>();
  #next = 1;
  readonly #waiting = new Map<number, () => void>();
  #flows:
    | { flows: Flow[]; timer: NodeJS.Timeout; pending: Map<number, { flow: Flow; sequence: number }> }
    | undefined;

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  /**
   * Puts a station into a namespace. With addresses it answers there alone: a node answers from the address that was
   * asked, as programs do that have a socket per address; left to the kernel, an answer through a tunnel would come
   * from the node's address in that.
   */
  async add(
    name: string,
    netns: string,
    families: readonly (4 | 6)[],
    addresses: Readonly<Partial<Record<4 | 6, string | undefined>>> = {},
  ): Promise<void> {
    const sockets = new Map<4 | 6, Socket>();
    for (const family of families) {
      const fd = this.#sockets.udp(netns, family, PORT, addresses[family]);
      const socket = dgram.createSocket(family === 4 ? 'udp4' : 'udp6');
      socket.on('error', () => undefined);
      socket.on('message', (message, remote) => this.#receive(socket, message, remote));
      await new Promise<void>((resolve) => {
        socket.once('listening', resolve);
        socket.bind({ fd });
      });
      sockets.set(family, socket);
    }
    this.#stations.set(name, { sockets });
  }

  remove(name: string): void {
    for (const socket of this.#stations.get(name)?.sockets.values() ?? []) socket.close();
    this.#stations.delete(name);
  }

  /** Asks each until it answers or the time is over; those that did not answer. */
  async probe(probes: readonly Probe[], timeoutMs: number): Promise<Probe[]> {
    const deadline = Date.now() + timeoutMs;
    const ids = new Map<number, Probe>();
    for (const probe of probes) {
      const id = this.#next++;
      ids.set(id, probe);
      this.#waiting.set(id, () => {
        ids.delete(id);
        this.#waiting.delete(id);
      });
    }
    while (ids.size > 0 && Date.now() < deadline) {
      let batch = 0;
      for (const [id, probe] of ids) {
        this.#ask(probe, id);
        // Lets answers in between, so that no socket's buffer overflows.
        if (++batch % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      const until = Math.min(deadline, Date.now() + RETRY_MS);
      while (ids.size > 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    for (const id of ids.keys()) this.#waiting.delete(id);
    return [...ids.values()];
  }

  /** Starts one probe per flow and interval; `stopFlows` counts. */
  startFlows(probes: readonly Probe[], intervalMs: number): void {
    const flows = probes.map((probe) => ({ ...probe, sent: 0, answered: new Set<number>() }));
    const pending = new Map<number, { flow: Flow; sequence: number }>();
    const startedAt = performance.now();
    const timer = setInterval(() => {
      // As many as are due: a late timer must not hide an outage.
      const due = Math.floor((performance.now() - startedAt) / intervalMs);
      for (const flow of flows) {
        while (flow.sent < due) {
          const id = this.#next++;
          const sequence = flow.sent++;
          pending.set(id, { flow, sequence });
          this.#waiting.set(id, () => {
            flow.answered.add(sequence);
            pending.delete(id);
            this.#waiting.delete(id);
          });
          this.#ask(flow, id);
        }
      }
    }, intervalMs);
    this.#flows = { flows, timer, pending };
  }

  /** Waits for the last answers and reports each flow. */
  async stopFlows(): Promise<FlowReport[]> {
    const running = this.#flows;
    if (!running) return [];
    clearInterval(running.timer);
    this.#flows = undefined;
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (const id of running.pending.keys()) this.#waiting.delete(id);
    return running.flows.map(({ from, to, address, sent, answered }) => {
      let gap = 0;
      let longestGap = 0;
      for (let i = 0; i < sent; i++) {
        gap = answered.has(i) ? 0 : gap + 1;
        longestGap = Math.max(longestGap, gap);
      }
      return { from, to, address, sent, lost: sent - answered.size, longestGap };
    });
  }

  close(): void {
    if (this.#flows) clearInterval(this.#flows.timer);
    for (const name of [...this.#stations.keys()]) this.remove(name);
  }

  #ask({ from, address }: Probe, id: number): void {
    const socket = this.#stations.get(from)?.sockets.get(address.includes(':') ? 6 : 4);
    // An unreachable destination is an error here and simply stays unanswered.
    socket?.send(`Q ${id} ${address}`, PORT, address, () => undefined);
  }

  #receive(socket: Socket, message: Buffer, remote: dgram.RemoteInfo): void {
    const [kind, id, address] = message.toString('latin1').split(' ');
    if (kind === 'Q') socket.send(`R ${id} ${address}`, remote.port, remote.address, () => undefined);
    else if (kind === 'R' && remote.address === address) this.#waiting.get(Number(id))?.();
  }
}
