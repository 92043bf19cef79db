/**
 * Chooses between two connections of the same two speakers when an OPEN arrives on the second one (RFC 4271 section
 * 6.8, RFC 4724 section 4.2). Both RFCs trust any connection from the peer's address. A pod behind the peer's
 * masquerading can forge that address, so an unproven connection never replaces a live one.
 */

/** The connection on which the OPEN arrived. */
export interface Newcomer {
  /** This speaker dialled it, so the peer's address answered. */
  readonly isOutgoing: boolean;
  /** It came in with TCP MD5 or GTSM of one hop. */
  readonly isProven: boolean;
  /** RFC 4271 section 6.8 prefers it by the BGP identifiers. */
  readonly isSurvivor: boolean;
  /** Time since its OPEN arrived, milliseconds. */
  readonly waitedMs: number;
}

/** Evidence since the probe that the running connection is alive or dead. */
export type Evidence =
  /** The peer acknowledged or sent something. */
  | 'answered'
  /** Retransmissions got no answer. */
  | 'silent'
  | 'none';

/** The other connection, in OpenConfirm or Established. */
export interface Running {
  readonly state: 'OpenConfirm' | 'Established';
  readonly isProven: boolean;
  /** Graceful restart was negotiated on it. */
  readonly hasRestart: boolean;
  /** Both sides may have connected at once: the session is young, and the newcomer's OPEN has no R bit. */
  readonly isSimultaneous: boolean;
  readonly evidence: Evidence;
}

export type Verdict =
  /** The newcomer continues. The running connection stays until one of them is Established. */
  | 'admit'
  /** The running connection ends, and the newcomer continues. */
  | 'replace'
  /** The newcomer's OPEN waits. Call `takeover` again. */
  | 'wait'
  /** The newcomer is closed with Cease, Connection Collision Resolution. */
  | 'refuse';

/**
 * The peer applies section 6.8 too and closes the losing connection. An unproven winner waits this long for that: more
 * than a round trip and the delay of a busy speaker.
 */
export const PEER_DECIDES_MS = 2_000;
/** After this wait without evidence the running connection stays, and its hold timer decides. */
export const LONGEST_WAIT_MS = 10_000;

/** Returns the verdict. For a newcomer that waits, the caller calls it again whenever anything changes. */
export function takeover(newcomer: Newcomer, running: Running): Verdict {
  return running.state === 'OpenConfirm' ? collision(newcomer, running) : replacement(newcomer, running);
}

/** RFC 4271 section 6.8: neither connection is Established. */
function collision({ isOutgoing, isProven, isSurvivor, waitedMs }: Newcomer, running: Running): Verdict {
  if (isSurvivor && (isOutgoing || isProven)) return 'replace';
  if (!isSurvivor && (!isOutgoing || running.isProven)) return 'refuse';
  // The incoming connection wins but is unproven. If it is the peer's, the peer closes the other one.
  return waitedMs < PEER_DECIDES_MS ? 'wait' : 'admit';
}

/** A session is Established, and the peer (or a host that forges its address) opens another one. */
function replacement({ isProven, isSurvivor, waitedMs }: Newcomer, running: Running): Verdict {
  const { hasRestart, isSimultaneous, evidence } = running;
  if (isProven && isSimultaneous) return isSurvivor ? 'replace' : 'refuse';
  // RFC 4724 section 4.2: the peer restarted, and this speaker did not notice.
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
