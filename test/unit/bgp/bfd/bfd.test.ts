import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BfdState, decodeBfd, encodeBfd } from '../../../../bgp/bfd/packet.ts';
import {
  type BfdSession,
  bfdPacket,
  detectionTimeUs,
  expireBfd,
  isForSession,
  newBfdSession,
  receiveBfd,
  transmitIntervalUs,
} from '../../../../bgp/bfd/session.ts';

const timers = { desiredMinTxUs: 100_000, requiredMinRxUs: 100_000, multiplier: 3 };
const { ADMIN_DOWN, DOWN, INIT, UP } = BfdState;

describe('BFD packets (RFC 5880 section 4.1)', () => {
  it('are encoded to the expected bytes and decode back to the same packet', () => {
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
    ['a multiplier of 0', (bytes) => bytes.fill(0, 2, 3)],
    ['a length beyond the end of the packet', (bytes) => bytes.fill(30, 3, 4)],
    ['My Discriminator 0', (bytes) => bytes.fill(0, 4, 8)],
    ['Your Discriminator 0 in state Up', (bytes) => bytes.fill(0, 8, 12)],
    ['the Multipoint bit set', (bytes) => bytes.fill(0xc1, 1, 2)],
    ['authentication', (bytes) => bytes.fill(0xc4, 1, 2)],
  ])('with %s are discarded (section 6.8.6)', (_, spoil) => {
    const bytes = encodeBfd(
      bfdPacket({ ...newBfdSession(1), state: UP, remoteDiscriminator: 2 }, timers, false),
    );
    spoil(bytes);
    expect(decodeBfd(bytes)).toBeUndefined();
  });

  it('decode any bytes without throwing', () => {
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
  ])('in state %i, a packet with state %i leads to state %i', (state, remote, expected) => {
    expect(hear(state, remote)).toBe(expected);
  });

  it.each<[number, number, boolean]>([
    [DOWN, 0, true],
    [INIT, 0, true],
    [UP, 0, false],
    [DOWN, 1, true],
    [UP, 1, true],
    [DOWN, 7, false],
    [UP, 7, false],
  ])('in state %i, Your Discriminator %i belongs to session 1: %s', (state, yourDiscriminator, expected) => {
    const packet = { ...bfdPacket(newBfdSession(2), timers, false), yourDiscriminator };
    expect(isForSession({ ...newBfdSession(1), state }, packet)).toBe(expected);
  });

  it('two sessions come up, negotiate their timers with a Poll Sequence, and go down when packets stop', () => {
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
