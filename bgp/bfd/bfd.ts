/**
 * BFD for BGP peers (RFC 5880, RFC 5881 single hop, RFC 5883 multihop): sockets and timers around session.ts. It reports
 * a neighbour that stops answering within the detection time.
 */
import { createSocket, type Socket } from 'node:dgram';
import { familyOf } from '../../lib/cidr.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Time } from '../../lib/time.ts';
import type { BfdConfig, PeerConfig } from '../peer/config.ts';
import { BfdState, decodeBfd, encodeBfd } from './packet.ts';
import {
  type BfdSession,
  type BfdTimers,
  bfdPacket,
  detectionTimeUs,
  expireBfd,
  isForSession,
  newBfdSession,
  receiveBfd,
  transmitIntervalUs,
} from './session.ts';

export interface BfdNeighbour {
  readonly address: string;
  readonly localAddress: string | undefined;
  readonly config: BfdConfig;
}

export interface BfdEvents {
  /** The session went down. `reason` is a sentence. */
  down(address: string, reason: string): void;
  changed(address: string, state: string): void;
}

const SINGLE_HOP_PORT = 3784;
const MULTIHOP_PORT = 4784;
/** RFC 5881 section 4: the lowest source port. */
const FIRST_SOURCE_PORT = 49_152;
const SOURCE_PORTS = 16_384;
const names = ['AdminDown', 'Down', 'Init', 'Up'];

export class Bfd {
  readonly #clock: Time;
  readonly #log: Log;
  readonly #events: BfdEvents;
  readonly #neighbours = new Map<string, Neighbour>();
  readonly #listeners = new Map<string, Socket>();
  #nextDiscriminator: number;

  constructor(modules: { clock: Time; log: Log; events: BfdEvents }) {
    this.#clock = modules.clock;
    this.#log = modules.log;
    this.#events = modules.events;
    this.#nextDiscriminator = 1 + Math.floor(this.#clock.random() * 0x7fff0000);
  }

  /** Sets the neighbours to watch. Sessions with unchanged settings continue. */
  setNeighbours(wanted: readonly BfdNeighbour[]): void {
    const byAddress = new Map(wanted.map((one) => [one.address, one]));
    for (const [address, neighbour] of this.#neighbours) {
      const next = byAddress.get(address);
      if (next && JSON.stringify(next) === JSON.stringify(neighbour.settings)) continue;
      neighbour.close();
      this.#neighbours.delete(address);
    }
    for (const settings of wanted) {
      if (this.#neighbours.has(settings.address)) continue;
      this.#listen(settings);
      const neighbour = new Neighbour(settings, this.#nextDiscriminator++, {
        clock: this.#clock,
        log: this.#log,
        events: this.#events,
      });
      this.#neighbours.set(settings.address, neighbour);
    }
  }

  close(): void {
    for (const neighbour of this.#neighbours.values()) neighbour.close();
    for (const socket of this.#listeners.values()) socket.close();
    this.#neighbours.clear();
    this.#listeners.clear();
  }

  /** Handles a packet. A bad one is dropped and has no other effect. */
  #receive(address: string, port: number, bytes: Uint8Array): void {
    try {
      const neighbour = this.#neighbours.get(address);
      // Packets to the other port have passed that port's TTL check.
      if (neighbour && portOf(neighbour.settings) === port) neighbour.receive(bytes);
    } catch (error) {
      this.#log.error({ err: error, peer: address }, 'fault while receiving BFD');
    }
  }

  #listen(settings: BfdNeighbour): void {
    const family = familyOf(settings.address);
    const port = portOf(settings);
    const key = `${family} ${port}`;
    if (this.#listeners.has(key)) return;
    const socket = createSocket({
      type: family === 4 ? 'udp4' : 'udp6',
      reuseAddr: true,
      ipv6Only: family === 6,
    });
    this.#listeners.set(key, socket);
    socket.on('message', (bytes, remote) => this.#receive(remote.address, port, bytes));
    socket.on('error', (error) => this.#log.error({ reason: messageOf(error), port }, 'BFD cannot listen'));
    socket.bind(port);
  }
}

class Neighbour {
  readonly settings: BfdNeighbour;
  readonly #timers: BfdTimers;
  readonly #clock: Time;
  readonly #log: Log;
  readonly #events: BfdEvents;
  readonly #socket: Socket;
  #session: BfdSession;
  #cancelSend = () => {};
  #cancelDetection = () => {};
  #isClosed = false;

  constructor(
    settings: BfdNeighbour,
    discriminator: number,
    modules: { clock: Time; log: Log; events: BfdEvents },
  ) {
    this.settings = settings;
    const { config, address, localAddress } = settings;
    this.#timers = {
      desiredMinTxUs: config.transmitIntervalMs * 1000,
      requiredMinRxUs: config.receiveIntervalMs * 1000,
      multiplier: config.multiplier,
    };
    this.#clock = modules.clock;
    this.#log = modules.log.child({ peer: address });
    this.#events = modules.events;
    this.#session = newBfdSession(discriminator);
    this.#socket = createSocket(familyOf(address) === 4 ? 'udp4' : 'udp6');
    this.#socket.on('error', (error) => this.#log.debug({ reason: messageOf(error) }, 'BFD socket error'));
    const port = FIRST_SOURCE_PORT + (discriminator % SOURCE_PORTS);
    this.#socket.bind({ port, ...(localAddress ? { address: localAddress } : {}) }, () => {
      if (this.#isClosed) return;
      // RFC 5881 section 5: a neighbour on the link sees 255.
      this.#socket.setTTL(255);
      this.#send(false);
      this.#schedule();
    });
    this.#events.changed(address, names[this.#session.state]!);
  }

  receive(bytes: Uint8Array): void {
    const packet = decodeBfd(bytes);
    if (!packet || this.#isClosed) return;
    if (!isForSession(this.#session, packet)) return;
    const before = this.#session;
    this.#become(receiveBfd(before, packet), 'the neighbour signals that the session is down');
    if (packet.isPoll) this.#send(true);
    this.#cancelDetection();
    const silence = detectionTimeUs(this.#session, this.#timers) / 1000;
    this.#cancelDetection = this.#clock.after(silence, () =>
      this.#become(expireBfd(this.#session), `nothing received for ${silence} ms`),
    );
    // A new rate of the neighbour applies from the next packet on.
    if (before.remoteMinRxUs !== this.#session.remoteMinRxUs || before.state !== this.#session.state)
      this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelSend();
    this.#cancelDetection();
    this.#socket.close();
  }

  #become(next: BfdSession, reason: string): void {
    const before = this.#session.state;
    this.#session = next;
    if (before === next.state) return;
    const { address } = this.settings;
    const name = names[next.state]!;
    this.#log.info(
      { from: names[before], to: name, ...(before === BfdState.UP ? { reason } : {}) },
      'BFD session state changed',
    );
    this.#events.changed(address, name);
    if (before === BfdState.UP) this.#events.down(address, `BFD: ${reason}`);
  }

  #schedule(): void {
    this.#cancelSend();
    const interval = transmitIntervalUs(this.#session, this.#timers) / 1000;
    if (interval === 0 || this.#isClosed) return;
    // Section 6.8.7: jitter of a quarter, and room for one packet with a multiplier of one.
    const most = this.#timers.multiplier === 1 ? 0.9 : 1;
    const delay = interval * (0.75 + this.#clock.random() * (most - 0.75));
    this.#cancelSend = this.#clock.after(delay, () => {
      this.#send(false);
      this.#schedule();
    });
  }

  #send(isFinal: boolean): void {
    if (this.#isClosed) return;
    const bytes = encodeBfd(bfdPacket(this.#session, this.#timers, isFinal));
    this.#socket.send(bytes, portOf(this.settings), this.settings.address, () => undefined);
  }
}

function portOf({ config }: BfdNeighbour): number {
  return config.isMultihop ? MULTIHOP_PORT : SINGLE_HOP_PORT;
}

/** The neighbours among a speaker's peers. */
export function neighboursOf(peers: readonly PeerConfig[]): BfdNeighbour[] {
  return peers.flatMap(({ address, localAddress, bfd }) =>
    bfd ? [{ address, localAddress, config: bfd }] : [],
  );
}
