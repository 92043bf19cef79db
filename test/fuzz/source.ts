/** Messages to try: real ones with a few octets changed, and UPDATEs built from parts that are often wrong. */

import { noCapabilities } from '../../bgp/wire/capabilities.ts';
import { encodeMessage } from '../../bgp/wire/message.ts';
import { endOfRib } from '../../bgp/wire/update.ts';
import { Writer } from '../../bgp/wire/writer.ts';
import type { Random } from './random.ts';

const context = { isFourOctetAs: true, isIbgp: true };
const empty = { withdrawn: [], nlri: [], reach: undefined, unreach: undefined, attributes: undefined };
const attributes = {
  origin: 0,
  asPath: [{ type: 2, asNumbers: [65001, 70000] }],
  nextHop: '10.0.0.1',
  med: 10,
  localPref: 100,
  communities: [1, 0xffffff01],
  largeCommunities: [[1, 2, 3] as const],
  extendedCommunities: ['0002fc0000000009'],
  originatorId: '10.0.0.9',
  clusterList: ['1.1.1.1', '2.2.2.2'],
};

/** Messages that speakers send, in the forms that BIRD, FRR and GoBGP use. */
const seeds: readonly Uint8Array[] = [
  encodeMessage({ type: 'keepalive' }, context),
  encodeMessage({ type: 'notification', code: 6, subcode: 2, data: Uint8Array.of(2, 104, 105) }, context),
  encodeMessage(
    { type: 'notification', code: 2, subcode: 7, data: Uint8Array.of(1, 4, 0, 1, 0, 1) },
    context,
  ),
  encodeMessage({ type: 'notification', code: 6, subcode: 9, data: Uint8Array.of(6, 4) }, context),
  encodeMessage({ type: 'route-refresh', family: 4, subtype: 0 }, context),
  encodeMessage({ type: 'route-refresh', family: 6, subtype: 1 }, context),
  encodeMessage({ type: 'route-refresh', family: 6, subtype: 2 }, context),
  encodeMessage(
    {
      type: 'open',
      asNumber: 64512,
      holdTimeSeconds: 3,
      identifier: '10.0.0.2',
      capabilities: {
        families: [4, 6],
        hasRouteRefresh: true,
        hasEnhancedRefresh: true,
        hasExtendedMessages: true,
        hasExtendedNextHop: true,
        fourOctetAs: 64512,
        roles: [3],
        otherFamilies: [{ afi: 25, safi: 70 }],
        addPath: [
          { family: 4, canReceive: true, canSend: true },
          { family: 6, canReceive: false, canSend: true },
        ],
        longLived: [
          { family: 4, isForwardingKept: true, staleSeconds: 0xffffff },
          { family: 6, isForwardingKept: false, staleSeconds: 0 },
        ],
        gracefulRestart: {
          isRestarting: true,
          hasNotification: true,
          restartTimeSeconds: 4095,
          families: [
            { family: 4, isForwardingKept: true },
            { family: 6, isForwardingKept: false },
          ],
        },
        // More than 255 octets of parameters need the form of RFC 9072.
        unknown: [
          { code: 128, value: new Uint8Array(200) },
          { code: 73, value: new Uint8Array(90) },
        ],
      },
    },
    context,
  ),
  encodeMessage(
    {
      type: 'open',
      asNumber: 70000,
      holdTimeSeconds: 90,
      identifier: '10.0.0.1',
      capabilities: {
        ...noCapabilities,
        families: [4, 6],
        hasRouteRefresh: true,
        fourOctetAs: 70000,
        addPath: [{ family: 4, canReceive: true, canSend: true }],
        longLived: [{ family: 4, isForwardingKept: true, staleSeconds: 60 }],
        gracefulRestart: {
          isRestarting: false,
          hasNotification: true,
          restartTimeSeconds: 120,
          families: [{ family: 4, isForwardingKept: true }],
        },
      },
    },
    context,
  ),
  encodeMessage(
    { type: 'update', ...empty, nlri: [{ prefix: '10.1.0.0/16' }, { prefix: '10.2.3.0/26' }], attributes },
    context,
  ),
  encodeMessage(
    { type: 'update', ...empty, withdrawn: [{ prefix: '10.1.0.0/16' }, { prefix: '10.2.3.0/26' }] },
    context,
  ),
  encodeMessage(
    {
      type: 'update',
      ...empty,
      reach: {
        family: 6,
        nextHop: 'fd00::1',
        linkLocal: 'fe80::1',
        routes: [{ prefix: 'fd01::/64' }, { prefix: 'fd02::/122' }],
      },
      attributes: { ...attributes, nextHop: 'fd00::1' },
    },
    context,
  ),
  encodeMessage(
    { type: 'update', ...empty, unreach: { family: 6, routes: [{ prefix: 'fd01::/64' }] } },
    context,
  ),
  encodeMessage({ type: 'update', ...endOfRib(6) }, context),
];

export class FuzzSource {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  below(limit: number): number {
    return this.#random.below(limit);
  }

  next(): Uint8Array {
    return this.below(3) === 0 ? this.#fromGrammar() : this.#mutated();
  }

  #mutated(): Uint8Array {
    const seed = seeds[this.below(seeds.length)]!;
    const bytes = seed.slice();
    // Only octets after the marker, so that most mutants reach the decoders.
    for (let flips = 1 + this.below(5); flips > 0; flips--) {
      const at = 16 + this.below(bytes.length - 16);
      bytes[at] = this.below(4) === 0 ? bytes[at]! ^ (1 << this.below(8)) : this.below(256);
    }
    if (this.below(8) === 0) return this.#cut(bytes);
    return bytes;
  }

  /** Returns a shorter or longer message whose header has the new length. */
  #cut(bytes: Uint8Array): Uint8Array {
    const length = Math.max(19, bytes.length - 6 + this.below(12));
    const cut = new Uint8Array(length);
    cut.set(bytes.subarray(0, length));
    cut[16] = length >> 8;
    cut[17] = length & 255;
    return cut;
  }

  #fromGrammar(): Uint8Array {
    const list = new Writer();
    for (let count = this.below(9); count > 0; count--) this.#attribute(list);
    const withdrawn = this.#prefixes(this.below(3), 4);
    const nlri = this.#prefixes(this.below(4), 4);
    const body = new Writer()
      .u16(withdrawn.length + (this.below(50) === 0 ? this.below(5) : 0))
      .bytes(withdrawn);
    const bytes = list.finish();
    body
      .u16(bytes.length + (this.below(50) === 0 ? this.below(5) : 0))
      .bytes(bytes)
      .bytes(nlri);
    const finished = body.finish();
    const message = new Writer();
    for (let i = 0; i < 16; i++) message.u8(0xff);
    return message
      .u16(19 + finished.length)
      .u8(2)
      .bytes(finished)
      .finish();
  }

  #attribute(list: Writer): void {
    const types = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 32, 35, 99, 128];
    const type = types[this.below(types.length)]!;
    const usual: Record<number, number> = {
      1: 0x40,
      2: 0x40,
      3: 0x40,
      4: 0x80,
      5: 0x40,
      6: 0x40,
      9: 0x80,
      10: 0x80,
      14: 0x80,
      15: 0x80,
    };
    const flags = this.below(10) === 0 ? this.below(256) & 0xef : (usual[type] ?? 0xc0);
    const value = this.#value(type);
    const length = this.below(20) === 0 ? this.below(40) : value.length;
    if (this.below(6) === 0)
      list
        .u8(flags | 0x10)
        .u8(type)
        .u16(length)
        .bytes(value);
    else
      list
        .u8(flags)
        .u8(type)
        .u8(length & 255)
        .bytes(value);
  }

  #value(type: number): Uint8Array {
    const writer = new Writer();
    switch (type) {
      case 1:
        return Uint8Array.of(this.below(4));
      case 2:
      case 17:
        for (let segments = this.below(3); segments > 0; segments--) {
          const count = this.below(4);
          writer.u8(1 + this.below(5)).u8(count);
          for (let i = 0; i < count; i++) writer.u32(this.below(3) === 0 ? 64512 : this.below(100_000));
        }
        return writer.finish();
      case 14:
        writer.u16(1 + this.below(3)).u8(1 + (this.below(9) === 0 ? 1 : 0));
        writer.u8([4, 16, 32, 0, 5][this.below(5)]!);
        for (let i = 0; i < 16; i++) writer.u8(this.below(256));
        return writer
          .u8(0)
          .bytes(this.#prefixes(this.below(3), 6))
          .finish();
      case 15:
        return writer
          .u16(1 + this.below(3))
          .u8(1)
          .bytes(this.#prefixes(this.below(3), 6))
          .finish();
      default: {
        const lengths = [0, 1, 4, 4, 4, 8, 8, 12, 24];
        for (let left = lengths[this.below(lengths.length)]!; left > 0; left--) writer.u8(this.below(256));
        return writer.finish();
      }
    }
  }

  #prefixes(count: number, family: 4 | 6): Uint8Array {
    const writer = new Writer();
    for (let i = 0; i < count; i++) {
      const length = this.below(family === 4 ? 34 : 131);
      writer.u8(length);
      for (let octets = (length + 7) >> 3; octets > 0; octets--) writer.u8(this.below(256));
    }
    return writer.finish();
  }
}
