/** One BFD session as a value: RFC 5880 section 6.8 in asynchronous mode, as pure functions. */
import { BfdDiagnostic, type BfdPacket, BfdState } from './packet.ts';

export interface BfdTimers {
  readonly desiredMinTxUs: number;
  readonly requiredMinRxUs: number;
  readonly multiplier: number;
}

export interface BfdSession {
  readonly state: number;
  readonly diagnostic: number;
  readonly myDiscriminator: number;
  readonly remoteDiscriminator: number;
  readonly remoteState: number;
  /** The neighbour's values; until its first packet, one packet a second. */
  readonly remoteMinTxUs: number;
  readonly remoteMinRxUs: number;
  readonly remoteMultiplier: number;
  /** Our timers changed, so packets carry the poll bit until the neighbour answers. */
  readonly isPolling: boolean;
}

/** Section 6.8.3: no faster than one packet a second while the session is not up. */
const SLOW_US = 1_000_000;

export function newBfdSession(myDiscriminator: number): BfdSession {
  return {
    state: BfdState.DOWN,
    diagnostic: BfdDiagnostic.NONE,
    myDiscriminator,
    remoteDiscriminator: 0,
    remoteState: BfdState.DOWN,
    remoteMinTxUs: 0,
    remoteMinRxUs: 1,
    remoteMultiplier: 0,
    isPolling: false,
  };
}

/**
 * Whether a packet belongs to the session (section 6.8.6). While the session is up the packet must carry our
 * discriminator, which only the neighbour knows; otherwise one forged packet would end the session. A restarted neighbour
 * does not know it, and its packets count after the detection time.
 */
export function isForSession(
  { state, myDiscriminator }: BfdSession,
  { yourDiscriminator }: BfdPacket,
): boolean {
  return yourDiscriminator === myDiscriminator || (yourDiscriminator === 0 && state !== BfdState.UP);
}

/** Applies a received packet to the session (section 6.8.6). */
export function receiveBfd(session: BfdSession, packet: BfdPacket): BfdSession {
  const heard: BfdSession = {
    ...session,
    remoteDiscriminator: packet.myDiscriminator,
    remoteState: packet.state,
    remoteMinTxUs: packet.desiredMinTxUs,
    remoteMinRxUs: packet.requiredMinRxUs,
    remoteMultiplier: packet.multiplier,
    isPolling: session.isPolling && !packet.isFinal,
  };
  if (packet.state === BfdState.ADMIN_DOWN)
    return session.state === BfdState.DOWN ? heard : down(heard, BfdDiagnostic.NEIGHBOR_DOWN);
  switch (session.state) {
    case BfdState.DOWN:
      if (packet.state === BfdState.DOWN)
        return { ...heard, state: BfdState.INIT, diagnostic: BfdDiagnostic.NONE };
      return packet.state === BfdState.INIT ? up(heard) : heard;
    case BfdState.INIT:
      return packet.state >= BfdState.INIT ? up(heard) : heard;
    case BfdState.UP:
      return packet.state === BfdState.DOWN ? down(heard, BfdDiagnostic.NEIGHBOR_DOWN) : heard;
    default:
      return heard;
  }
}

/** Applies the end of the detection time (section 6.8.4). */
export function expireBfd(session: BfdSession): BfdSession {
  const isDown = session.state === BfdState.DOWN;
  return { ...(isDown ? session : down(session, BfdDiagnostic.TIME_EXPIRED)), remoteDiscriminator: 0 };
}

/** The packet to send now; `isFinal` answers a poll. */
export function bfdPacket(session: BfdSession, timers: BfdTimers, isFinal: boolean): BfdPacket {
  return {
    diagnostic: session.diagnostic,
    state: session.state,
    isPoll: session.isPolling && !isFinal,
    isFinal,
    multiplier: timers.multiplier,
    myDiscriminator: session.myDiscriminator,
    yourDiscriminator: session.remoteDiscriminator,
    desiredMinTxUs: desiredTx(session, timers),
    requiredMinRxUs: timers.requiredMinRxUs,
  };
}

/** Microseconds between packets, before jitter (section 6.8.7); 0 when the neighbour wants no packets. */
export function transmitIntervalUs(session: BfdSession, timers: BfdTimers): number {
  if (session.remoteMinRxUs === 0) return 0;
  return Math.max(desiredTx(session, timers), session.remoteMinRxUs);
}

/** Detection time in microseconds (section 6.8.4). */
export function detectionTimeUs(session: BfdSession, timers: BfdTimers): number {
  return session.remoteMultiplier * Math.max(timers.requiredMinRxUs, session.remoteMinTxUs);
}

function desiredTx({ state }: BfdSession, { desiredMinTxUs }: BfdTimers): number {
  return state === BfdState.UP ? desiredMinTxUs : Math.max(SLOW_US, desiredMinTxUs);
}

function up(session: BfdSession): BfdSession {
  return { ...session, state: BfdState.UP, diagnostic: BfdDiagnostic.NONE, isPolling: true };
}

function down(session: BfdSession, diagnostic: number): BfdSession {
  return { ...session, state: BfdState.DOWN, diagnostic, isPolling: false };
}
