/** Properties of the codec over generated messages: what is encoded is decoded, and no mutant breaks a decoder. */
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { PathAttributes } from '../../../../bgp/wire/attributes.ts';
import { type Frame, Framer } from '../../../../bgp/wire/framer.ts';
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type OutgoingMessage,
} from '../../../../bgp/wire/message.ts';
import { WireError } from '../../../../bgp/wire/wire-error.ts';
import { formatAddress, formatCidr, networkOf } from '../../../../lib/cidr.ts';

const context = { isFourOctetAs: true, isIbgp: true };

function frames(bytes: Uint8Array, extended = false) {
  const framer = new Framer();
  if (extended) framer.allowExtended();
  const cut: Frame[] = [];
  framer.push(bytes, (frame) => cut.push(frame) > 0);
  return cut;
}

function decodeAll(bytes: Uint8Array, c = context): Message[] {
  return frames(bytes, true).map((frame) => decodeMessage(frame, c));
}

const address4 = fc.nat(0xffffffff).map((value) => formatAddress({ family: 4, value: BigInt(value) }));
const prefix4 = fc
  .tuple(fc.nat(0xffffffff), fc.nat(32))
  .map(([value, length]) => formatCidr(networkOf({ family: 4, value: BigInt(value), length })));
const prefix6 = fc
  .tuple(fc.bigInt(0n, (1n << 128n) - 1n), fc.nat(128))
  .map(([value, length]) => formatCidr(networkOf({ family: 6, value, length })));
const as = fc.oneof(fc.integer({ min: 1, max: 65535 }), fc.integer({ min: 65536, max: 4294967295 }));
const u32 = fc.nat(0xffffffff);
const route4 = prefix4.map((prefix) => ({ prefix }));
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const attributes: fc.Arbitrary<PathAttributes> = fc
  .record({
    origin: fc.nat(2),
    asPath: fc.array(
      fc.record({
        type: fc.integer({ min: 1, max: 4 }),
        asNumbers: fc.array(as, { minLength: 1, maxLength: 6 }),
      }),
      { maxLength: 3 },
    ),
    nextHop: address4,
    med: optional(u32),
    localPref: u32,
    atomicAggregate: optional(fc.constant(true)),
    aggregator: optional(fc.record({ asNumber: as, address: address4 })),
    communities: optional(fc.array(u32, { minLength: 1, maxLength: 80 })),
    extendedCommunities: optional(
      fc.array(fc.stringMatching(/^[0-9a-f]{16}$/), { minLength: 1, maxLength: 4 }),
    ),
    largeCommunities: optional(fc.array(fc.tuple(u32, u32, u32), { minLength: 1, maxLength: 4 })),
    originatorId: optional(address4),
    clusterList: optional(fc.array(address4, { minLength: 1, maxLength: 4 })),
    unknown: optional(
      fc.array(
        fc.record({
          flags: fc.constant(0xe0),
          type: fc.constant(99),
          value: fc.uint8Array({ maxLength: 300 }),
        }),
        { minLength: 1, maxLength: 1 },
      ),
    ),
  })
  .map(
    (record) =>
      Object.fromEntries(
        Object.entries(record).filter(([, value]) => value !== undefined),
      ) as unknown as PathAttributes,
  );

type Announcement = OutgoingMessage & { type: 'update'; attributes: PathAttributes };
const update = fc
  .record({
    withdrawn: fc.array(route4, { maxLength: 20 }),
    nlri: fc.array(route4, { minLength: 1, maxLength: 20 }),
    attributes,
  })
  .map((fields): Announcement => ({ type: 'update', reach: undefined, unreach: undefined, ...fields }));
const update6 = fc.tuple(fc.array(prefix6, { minLength: 1, maxLength: 20 }), attributes).map(
  ([prefixes, shared]): OutgoingMessage => ({
    type: 'update',
    withdrawn: [],
    nlri: [],
    unreach: undefined,
    reach: { family: 6, nextHop: 'fd00::1', routes: prefixes.map((prefix) => ({ prefix })) },
    attributes: { ...shared, nextHop: 'fd00::1' },
  }),
);
const open = fc
  .record({
    asNumber: as,
    holdTimeSeconds: fc.integer({ min: 3, max: 65535 }),
    identifier: address4.filter((text) => text !== '0.0.0.0'),
    hasRouteRefresh: fc.boolean(),
    hasExtendedMessages: fc.boolean(),
    hasEnhancedRefresh: fc.boolean(),
    hasExtendedNextHop: fc.boolean(),
    roles: fc.uniqueArray(fc.nat(5), { maxLength: 2 }),
    otherFamilies: fc.array(fc.record({ afi: fc.integer({ min: 3, max: 0xffff }), safi: fc.nat(255) }), {
      maxLength: 2,
    }),
    addPath: fc.uniqueArray(
      fc.record({
        family: fc.constantFrom(4 as const, 6 as const),
        canReceive: fc.boolean(),
        canSend: fc.constant(true),
      }),
      { selector: ({ family }) => family, maxLength: 2 },
    ),
    longLived: fc.array(
      fc.record({
        family: fc.constantFrom(4 as const, 6 as const),
        isForwardingKept: fc.boolean(),
        staleSeconds: fc.nat(0xffffff),
      }),
      { maxLength: 2 },
    ),
    families: fc.subarray([4 as const, 6 as const]),
    unknown: fc.array(
      fc.record({ code: fc.integer({ min: 128, max: 255 }), value: fc.uint8Array({ maxLength: 120 }) }),
      { maxLength: 5 },
    ),
  })
  .map(
    ({ asNumber, holdTimeSeconds, identifier, ...capabilities }): OutgoingMessage => ({
      type: 'open',
      asNumber,
      holdTimeSeconds,
      identifier,
      capabilities: { ...capabilities, fourOctetAs: asNumber, gracefulRestart: undefined },
    }),
  );
const message: fc.Arbitrary<OutgoingMessage> = fc.oneof(
  update,
  update6,
  open,
  fc.constant<OutgoingMessage>({ type: 'keepalive' }),
  fc
    .record({ code: fc.nat(9), subcode: fc.nat(9), data: fc.uint8Array({ maxLength: 30 }) })
    .map((body): OutgoingMessage => ({ type: 'notification', ...body })),
  fc
    .constantFrom(4 as const, 6 as const)
    .map((family): OutgoingMessage => ({ type: 'route-refresh', family, subtype: 0 })),
);

/** Returns the message as its receiver decodes it. */
function received(sent: OutgoingMessage): unknown {
  return sent.type === 'update' ? { ...sent, faults: [] } : sent;
}

describe('the codec over generated messages', () => {
  it('decoding an encoded message returns the same message', () => {
    fc.assert(
      fc.property(message, (sent) => {
        expect(decodeAll(encodeMessage(sent, context))).toEqual([received(sent)]);
      }),
      { numRuns: 2000 },
    );
  });

  it('an UPDATE passes unchanged through a speaker with 2-octet AS numbers', () => {
    const old = { isFourOctetAs: false, isIbgp: true };
    // AS4_PATH carries no confederation segments.
    const plain = update.filter(({ attributes: { asPath } }) => asPath.every(({ type }) => type === 2));
    fc.assert(
      fc.property(plain, (sent) => {
        const [got] = decodeAll(encodeMessage(sent, old), old);
        const flat = (path: PathAttributes['asPath']) => path.flatMap(({ asNumbers }) => asNumbers);
        expect(got?.type === 'update' && flat(got.attributes!.asPath)).toEqual(flat(sent.attributes.asPath));
      }),
    );
  });

  it('any split of a byte stream yields the same messages', () => {
    fc.assert(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(400), { maxLength: 60 }),
        (sent, cuts) => {
          const bytes = Buffer.concat(sent.map((one) => encodeMessage(one, context)));
          const framer = new Framer();
          framer.allowExtended();
          const got: Message[] = [];
          let at = 0;
          for (const cut of [...cuts, bytes.length]) {
            framer.push(bytes.subarray(at, at + cut), (frame) => got.push(decodeMessage(frame, context)) > 0);
            at = Math.min(bytes.length, at + cut);
          }
          expect(got).toEqual(sent.map(received));
        },
      ),
    );
  });

  it('two hundred thousand mutated messages produce only messages or WireErrors', () => {
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 4294967296;
    };
    // Half of the time would go to stacks that no test reads.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    onTestFinished(() => {
      Error.stackTraceLimit = stackTraceLimit;
    });
    const seeds = fc.sample(message, { numRuns: 200, seed: 7 }).map((one) => encodeMessage(one, context));
    let accepted = 0;
    let refused = 0;
    for (let i = 0; i < 200_000; i++) {
      const bytes = Uint8Array.from(seeds[Math.floor(random() * seeds.length)]!);
      // Only octets after the marker and length, so that most mutants reach the decoders.
      for (let flips = 1 + Math.floor(random() * 4); flips > 0; flips--) {
        bytes[18 + Math.floor(random() * (bytes.length - 18))] = Math.floor(random() * 256);
      }
      try {
        decodeAll(bytes, { isFourOctetAs: random() < 0.5, isIbgp: random() < 0.5 });
        accepted++;
      } catch (error) {
        if (!(error instanceof WireError))
          throw new Error(`mutant ${Buffer.from(bytes).toString('hex')}`, { cause: error });
        refused++;
      }
    }
    expect(accepted).toBeGreaterThan(20_000);
    expect(refused).toBeGreaterThan(2_000);
  });
});
