import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BfdState, decodeBfd, encodeBfd } from '../../../bgp/bfd/packet.ts';
import {
  type BfdSession,
  bfdPacket,
  detectionTimeUs,
  expireBfd,
  newBfdSession,
  receiveBfd,
  transmitIntervalUs,
} from '../../../bgp/bfd/session.ts';

const timers = { desiredMinTxUs: 100_000, requiredMinRxUs: 100_000, multiplier: 3 };
const { ADMIN_DOWN, DOWN, INIT, UP } = BfdState;

describe('BFD packets (RFC 5880 section 4.1)', () => {
  it('by their bytes', () => {
    const packet = bfdPacket(
      { ...newBfdSession(0x01020304), state: UP, remoteDiscriminator: 5, isPolling: true },
      timers,
      false,
    );
    expect(Buffer.from(encodeBfd(packet)).toString('hex')).toBe(
      '20e00318010203040000000500' + '0186a0000186a000000000',
    );
    expect(decodeBfd(encodeBfd(packet))).toEqual(packet);
  });

  it.each<[string, (bytes: Uint8Array) => void]>([
    ['another version', (bytes) => bytes.fill(0x40, 0, 1)],
    ['multiplier 0', (bytes) => bytes.fill(0, 2, 3)],
    ['a length beyond the packet', (bytes) => bytes.fill(30, 3, 4)],
    ['my discriminator 0', (bytes) => bytes.fill(0, 4, 8)],
    ['your discriminator 0 in state Up', (bytes) => bytes.fill(0, 8, 12)],
    ['the multipoint bit', (bytes) => bytes.fill(0xc1, 1, 2)],
    ['authentication', (bytes) => bytes.fill(0xc4, 1, 2)],
  ])('%s is discarded (section 6.8.6)', (_, spoil) => {
    const bytes = encodeBfd(
      bfdPacket({ ...newBfdSession(1), state: UP, remoteDiscriminator: 2 }, timers, false),
    );
    spoil(bytes);
    expect(decodeBfd(bytes)).toBeUndefined();
  });

  it('any bytes give a packet or nothing', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void decodeBfd(bytes)));
  });
});

describe('the BFD state machine (RFC 5880 section 6.2)', () => {
  const hear = (state: number, remote: number) =>
    receiveBfd(
      { ...newBfdSession(1), state },
      { ...bfdPacket({ ...newBfdSession(2), state: remote }, timers, false) },
    ).state;

  it.each<[number, number, number]>([
    [DOWN, DOWN, INIT],
    [DOWN, INIT, UP],
    [DOWN, UP, DOWN],
    [DOWN, ADMIN_DOWN, DOWN],
    [INIT, DOWN, INIT],
    [INIT, INIT, UP],
    [INIT, UP, UP],
    [INIT, ADMIN_DOWN, DOWN],
    [UP, DOWN, DOWN],
    [UP, INIT, UP],
    [UP, UP, UP],
    [UP, ADMIN_DOWN, DOWN],
  ])('state %i hears %i: %i', (state, remote, expected) => {
    expect(hear(state, remote)).toBe(expected);
  });

  it('two sessions come up, negotiate their timers by a poll, and silence ends them', () => {
    let [a, b]: [BfdSession, BfdSession] = [newBfdSession(1), newBfdSession(2)];
    expect(transmitIntervalUs(a, timers)).toBe(1_000_000);
    const slow = { ...timers, requiredMinRxUs: 300_000 };
    for (let i = 0; i < 4; i++) {
      b = receiveBfd(b, bfdPacket(a, timers, false));
      a = receiveBfd(a, bfdPacket(b, slow, b.isPolling));
    }
    expect([a.state, b.state]).toEqual([UP, UP]);
    expect(transmitIntervalUs(a, timers)).toBe(300_000);
    expect(detectionTimeUs(a, timers)).toBe(300_000);
    expect(expireBfd(a)).toMatchObject({ state: DOWN, diagnostic: 1, remoteDiscriminator: 0 });
  });
});
