/**
 * Which of two connections between the same two speakers goes on when an OPEN arrives on the second one (RFC 4271
 * section 6.8, RFC 4724 section 4.2). Both RFCs trust whoever connects from the peer's address. That address can be
 * forged, by a pod behind the peer's masquerading for example, so an unproven connection never ends a living one.
 */

/** The connection on which the OPEN arrived. */
export interface Newcomer {
  /** We made it, so the peer's address was reached. */
  readonly isOutgoing: boolean;
  /** It came in with TCP MD5 or GTSM of one hop. */
  readonly isProven: boolean;
  /** RFC 4271 section 6.8 prefers it by the BGP identifiers. */
  readonly isSurvivor: boolean;
  /** Time since its OPEN arrived, milliseconds. */
  readonly waitedMs: number;
}

/** What is known about the life of the running connection since it was probed. */
export type Evidence =
  /** The peer acknowledged or sent something. */
  | 'answered'
  /** Retransmissions stay without an answer. */
  | 'silent'
  | 'none';

/** The other connection, in OpenConfirm or Established. */
export interface Running {
  readonly state: 'OpenConfirm' | 'Established';
  readonly isProven: boolean;
  /** Graceful restart was negotiated on it. */
  readonly hasRestart: boolean;
  /** Both sides may have connected at once: it is young, and the newcomer's OPEN has no R bit. */
  readonly isSimultaneous: boolean;
  readonly evidence: Evidence;
}

export type Verdict =
  /** The newcomer goes on; the running connection stays until one of them is Established. */
  | 'admit'
  /** The running connection ends, the newcomer goes on. */
  | 'replace'
  /** The newcomer's OPEN waits; ask again. */
  | 'wait'
  /** The newcomer is closed with Cease, Connection Collision Resolution. */
  | 'refuse';

/**
 * The other side applies section 6.8 as well and closes the connection that loses. An unproven connection that wins
 * waits this long for it. It is more than a round trip and the time that a busy speaker takes.
 */
export const PEER_DECIDES_MS = 2_000;
/** Without any evidence the running connection stays, and its hold timer decides. */
export const LONGEST_WAIT_MS = 10_000;

/** Decides. A newcomer that waits is decided on again when anything changes. */
export function takeover(newcomer: Newcomer, running: Running): Verdict {
  return running.state === 'OpenConfirm' ? collision(newcomer, running) : replacement(newcomer, running);
}

/** RFC 4271 section 6.8: two connections that are being opened. */
function collision({ isOutgoing, isProven, isSurvivor, waitedMs }: Newcomer, running: Running): Verdict {
  if (isSurvivor && (isOutgoing || isProven)) return 'replace';
  if (!isSurvivor && (!isOutgoing || running.isProven)) return 'refuse';
  // The incoming connection is preferred, and unproven. If it is the peer's, the peer closes the other one.
  return waitedMs < PEER_DECIDES_MS ? 'wait' : 'admit';
}

/** A session is up, and the peer (or somebody who uses its address) opens another one. */
function replacement({ isProven, isSurvivor, waitedMs }: Newcomer, running: Running): Verdict {
  const { hasRestart, isSimultaneous, evidence } = running;
  if (isProven && isSimultaneous) return isSurvivor ? 'replace' : 'refuse';
  // RFC 4724 section 4.2: the peer restarted, and we have not noticed.
  if (isProven && hasRestart) return 'replace';
  switch (evidence) {
    case 'silent':
      return 'replace';
    case 'answered':
      return isSimultaneous && isSurvivor && waitedMs < PEER_DECIDES_MS ? 'wait' : 'refuse';
    case 'none':
      return waitedMs < LONGEST_WAIT_MS ? 'wait' : 'refuse';
    default:
      throw new Error(`unreachable evidence ${evidence satisfies never}`);
  }
}
