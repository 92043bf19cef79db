/** The messages of npm run fuzz: each call of `next` tries one, of any kind. Throws only on a fault in our code. */

import { decodeBfd, encodeBfd } from '../../bgp/bfd/packet.ts';
import {
  type BfdSession,
  bfdPacket,
  detectionTimeUs,
  newBfdSession,
  receiveBfd,
  transmitIntervalUs,
} from '../../bgp/bfd/session.ts';
import { negotiate } from '../../bgp/session/negotiate.ts';
import type { SessionConfig } from '../../bgp/session/session.ts';
import { Framer } from '../../bgp/wire/framer.ts';
import { MessageType } from '../../bgp/wire/iana.ts';
import { decodeMessage } from '../../bgp/wire/message.ts';
import { WireError } from '../../bgp/wire/wire-error.ts';
import { netlinkDatagram, tryNetlink } from './netlink.ts';
import { Random } from './random.ts';
import { FuzzSource } from './source.ts';
import { inboundForms, type Tally, World } from './world.ts';

export interface Outcomes extends Tally {
  messages: number;
  accepted: number;
  refused: number;
}

/** Number of combinations of an inbound form and an import policy. */
const WORLDS = inboundForms.length * 3;
/** Messages between comparisons, and between restarts with other forms. */
const CHECK_EVERY = 40;
const RESET_EVERY = 4_000;

const config: SessionConfig = {
  localAs: 64_512,
  asNumber: 64_512,
  identifier: '10.0.0.1',
  holdTimeSeconds: 90,
  isPassive: false,
  families: [4, 6],
  restartTimeSeconds: 120,
  canSendAddPath: true,
  canReceiveAddPath: true,
  hasExtendedNextHop: true,
  longLivedSeconds: 60,
} as SessionConfig;

export class Messages {
  readonly #random: Random;
  readonly #source: FuzzSource;
  readonly outcomes: Outcomes = {
    messages: 0,
    accepted: 0,
    refused: 0,
    advertised: 0,
    withheld: 0,
    tooLong: 0,
  };
  #index: number;
  #world: World;
  #bfd: BfdSession = newBfdSession(1);
  /** The last message, to report it with a fault. */
  last: Uint8Array = new Uint8Array();

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#source = new FuzzSource(this.#random);
    this.#index = seed * 1_000;
    this.#world = new World(this.#index, this.outcomes);
  }

  next(): void {
    const count = this.outcomes.messages++;
    if (this.#random.once(40)) this.#packet();
    else if (this.#random.once(20)) this.#netlink();
    else if (this.#random.once(8)) this.#routes(this.#update());
    else this.#any(this.#source.next());
    if (count % CHECK_EVERY === 0) this.#world.check();
    if (count % RESET_EVERY === 0) this.#restart();
  }

  /** Checks that no peer holds a route once all routes are withdrawn. */
  close(): void {
    this.#world.check();
    this.#world.reset();
  }

  #restart(): void {
    this.close();
    this.#index = this.#index + 1;
    this.#world = new World(this.#index % (WORLDS * 1_000), this.outcomes);
  }

  /** Returns a message that the sender may send; one in five has one or two octets changed. */
  #update(): Uint8Array {
    const body = this.#world.message(this.#random);
    if (this.#random.once(5))
      for (let flips = 1 + this.#random.below(2); flips > 0; flips--)
        body[this.#random.below(body.length)] = this.#random.below(256);
    return body;
  }

  #routes(body: Uint8Array): void {
    this.last = body;
    if (this.#world.receive(body)) this.outcomes.accepted++;
    else this.outcomes.refused++;
  }

  /** Tries a whole message, with its header. */
  #any(bytes: Uint8Array): void {
    this.last = bytes;
    const framer = new Framer();
    framer.allowExtended();
    try {
      framer.push(bytes, (frame) => {
        if (frame.type === MessageType.UPDATE) this.#routes(frame.body);
        else {
          const message = decodeMessage(frame, this.#world.form);
          if (message.type === 'open') negotiate(message, config);
          this.outcomes.accepted++;
        }
        return true;
      });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.outcomes.refused++;
    }
  }

  #netlink(): void {
    this.last = netlinkDatagram(this.#random);
    if (tryNetlink(this.last)) this.outcomes.accepted++;
    else this.outcomes.refused++;
  }

  /** Tries a BFD packet: a real one with octets changed, or noise. */
  #packet(): void {
    const timers = { desiredMinTxUs: 300_000, requiredMinRxUs: 300_000, multiplier: 3 };
    const bytes = this.#random.once(4)
      ? this.#random.fill(new Uint8Array(this.#random.below(60)))
      : encodeBfd(bfdPacket(this.#bfd, timers, this.#random.once(2)));
    if (bytes.length > 0 && this.#random.once(2))
      bytes[this.#random.below(bytes.length)] = this.#random.below(256);
    this.last = bytes;
    const packet = decodeBfd(bytes);
    if (!packet) {
      this.outcomes.refused++;
      return;
    }
    this.outcomes.accepted++;
    this.#bfd = receiveBfd(this.#bfd, packet);
    // Node's timers hold 31 bits of milliseconds.
    for (const us of [transmitIntervalUs(this.#bfd, timers), detectionTimeUs(this.#bfd, timers)])
      if (!(us >= 0 && us / 1000 < 2 ** 31)) throw new Error(`BFD timer out of range: ${us} µs`);
  }
}
