/**
 * Tests reachability with a UDP socket in every pod and node that sends and answers probes. Real packets pass from one
 * network namespace to another through the kernel's routing. A reply counts only if it comes from the probed address.
 */
import dgram, { type Socket } from 'node:dgram';
import { Canary } from './canary.ts';
import type { Sockets } from './setns.ts';

export interface Probe {
  readonly from: string;
  readonly to: string;
  readonly address: string;
}

export interface FlowReport extends Probe {
  readonly sent: number;
  readonly lost: number;
  /** Largest number of consecutive lost probes. */
  readonly longestGap: number;
  /** Probes that were due while this process did not run: neither sent nor lost. */
  readonly unsent: number;
  /** Longest time that this process did not run and sent no probes. */
  readonly longestStallMs: number;
}

interface Station {
  readonly sockets: Map<4 | 6, Socket>;
}

interface Flow extends Probe {
  sent: number;
  unsent: number;
  readonly answered: Set<number>;
}

const PORT = 7007;
const RETRY_MS = 100;
/** A timer that is late by less catches up. More probes at once would overflow queues of this process or the kernel. */
const CATCH_UP_MS = 30;

/** If a sleep of 5 ms takes longer than this, the process did not run. */
const STALL_MS = 1000;

interface Flows {
  readonly flows: readonly Flow[];
  readonly timer: NodeJS.Timeout;
  readonly pending: Map<number, { flow: Flow; sequence: number }>;
  readonly canary: Canary;
  longestStallMs: number;
}

export class Prober {
  readonly #sockets: Sockets;
  readonly #stations = new Map<string, Station>();
  #next = 1;
  readonly #waiting = new Map<number, () => void>();
  #flows: Flows | undefined;

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  /**
   * Adds a station in a namespace. Given addresses, it has a socket for each and answers only there, so a node replies
   * from the probed address. With a wildcard socket, a reply through a tunnel would have the node's tunnel address.
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

  /**
   * Repeats each probe until it is answered or the time is over. Returns the unanswered ones. `onStart` is called with
   * a function that returns the probes without an answer so far.
   */
  async probe(
    probes: readonly Probe[],
    timeoutMs: number,
    onStart: (unanswered: () => Probe[]) => void = () => undefined,
  ): Promise<Probe[]> {
    let deadline = Date.now() + timeoutMs;
    const ids = new Map<number, Probe>();
    onStart(() => [...ids.values()]);
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
        // Reads answers in between, so that no socket's buffer overflows.
        if (++batch % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      const until = Math.min(deadline, Date.now() + RETRY_MS);
      while (ids.size > 0 && Date.now() < until) {
        const before = Date.now();
        await new Promise((resolve) => setTimeout(resolve, 5));
        const slept = Date.now() - before;
        // While this process did not run, no answer was possible.
        if (slept > STALL_MS) deadline += slept;
      }
    }
    await readAll();
    for (const id of ids.keys()) this.#waiting.delete(id);
    return [...ids.values()];
  }

  /**
   * Starts one probe per flow and interval; `stopFlows` counts them. Probes that are due while this process does not
   * run (it is stopped or has no CPU), or while the kernel carries no packets, count as unsent: sent in a burst, they
   * would be lost in this machine's queues.
   */
  startFlows(probes: readonly Probe[], intervalMs: number): void {
    const flows = probes.map((probe) => ({ ...probe, sent: 0, unsent: 0, answered: new Set<number>() }));
    const most = Math.max(1, Math.floor(CATCH_UP_MS / intervalMs));
    const startedAt = performance.now();
    let tickedAt = startedAt;
    const canary = new Canary();
    const tick = () => {
      const now = performance.now();
      if (!canary.isBack(now)) return;
      const due = Math.floor((now - startedAt) / intervalMs);
      const late = Math.max(0, due - (flows[0] ? flows[0].sent + flows[0].unsent : due) - most);
      if (late > 0) running.longestStallMs = Math.max(running.longestStallMs, now - tickedAt);
      tickedAt = now;
      for (const flow of flows) {
        flow.unsent += late;
        while (flow.sent + flow.unsent < due) this.#send(flow, running);
      }
      canary.send(now);
    };
    const running: Flows = {
      flows,
      timer: setInterval(tick, intervalMs),
      pending: new Map(),
      canary,
      longestStallMs: 0,
    };
    this.#flows = running;
  }

  #send(flow: Flow, { pending }: Flows): void {
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

  /** Waits for the last answers and reports each flow. */
  async stopFlows(): Promise<FlowReport[]> {
    const running = this.#flows;
    if (!running) return [];
    clearInterval(running.timer);
    running.canary.close();
    this.#flows = undefined;
    await new Promise((resolve) => setTimeout(resolve, 500));
    await readAll();
    for (const id of running.pending.keys()) this.#waiting.delete(id);
    return running.flows.map(({ from, to, address, sent, unsent, answered }) => {
      let gap = 0;
      let longestGap = 0;
      for (let i = 0; i < sent; i++) {
        gap = answered.has(i) ? 0 : gap + 1;
        longestGap = Math.max(longestGap, gap);
      }
      const lost = sent - answered.size;
      const longestStallMs = Math.round(running.longestStallMs);
      return { from, to, address, sent, lost, longestGap, unsent, longestStallMs };
    });
  }

  close(): void {
    if (this.#flows) {
      clearInterval(this.#flows.timer);
      this.#flows.canary.close();
    }
    for (const name of [...this.#stations.keys()]) this.remove(name);
  }

  #ask({ from, address }: Probe, id: number): void {
    const socket = this.#stations.get(from)?.sockets.get(address.includes(':') ? 6 : 4);
    // An unreachable destination causes an error here; the probe stays unanswered.
    socket?.send(`Q ${id} ${address}`, PORT, address, () => undefined);
  }

  #receive(socket: Socket, message: Buffer, remote: dgram.RemoteInfo): void {
    const [kind, id, address] = message.toString('latin1').split(' ');
    if (kind === 'Q') socket.send(`R ${id} ${address}`, remote.port, remote.address, () => undefined);
    else if (kind === 'R' && remote.address === address) this.#waiting.get(Number(id))?.();
  }
}

/** Lets the event loop read what has arrived: after a stall, timers come before sockets. */
async function readAll(): Promise<void> {
  for (let round = 0; round < 3; round++) await new Promise((resolve) => setImmediate(resolve));
}
