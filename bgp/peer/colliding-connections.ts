/** The connections with which one collides on which an OPEN arrived (RFC 4271 section 6.8, RFC 4724 section 4.2). */
import type { Session, State } from '../session/session.ts';
import type { Evidence, Running } from '../session/takeover.ts';
import type { OpenMessage } from '../wire/open.ts';

/** A session runner, or the part of it that decides about collisions. */
interface Contender {
  readonly session: Session;
  readonly connection: { readonly isOutgoing: boolean } | undefined;
}

interface Connected<R extends Contender> {
  readonly runner: R;
  /** Whether it came in with TCP MD5 or GTSM of one hop. */
  readonly isProven: boolean;
}

export interface Main<R extends Contender> extends Connected<R> {
  /** Time since its session came up, milliseconds; of no meaning before. */
  readonly establishedMs: number;
  /** Evidence that the peer of its session is alive. */
  readonly evidence: Evidence;
}

/** A second connection within this time after the first came up may have been opened at the same time. */
const SIMULTANEOUS_MS = 5_000;

const rank: Readonly<Record<State, number>> = {
  Idle: 0,
  Connect: 1,
  Active: 1,
  OpenSent: 2,
  OpenConfirm: 3,
  Established: 4,
};

/** Whether a session is nearer to Established than another. */
export function isNearer(one: Session, other: Session): boolean {
  return rank[one.state] > rank[other.state];
}

/** Whether a session is in OpenConfirm or Established. */
export function isOpening({ state }: Session): boolean {
  return rank[state] >= rank.OpenConfirm;
}

/** Returns the main connection if it is Established, else the connections in OpenConfirm in the other direction. */
export function collidingConnections<R extends Contender>(
  newcomer: R,
  { capabilities }: OpenMessage,
  main: Main<R>,
  pending: Iterable<Connected<R>>,
): { other: R; running: Running }[] {
  const { session } = main.runner;
  if (main.runner !== newcomer && session.state === 'Established') {
    const isYoung = main.establishedMs < SIMULTANEOUS_MS;
    const running: Running = {
      state: 'Established',
      isProven: main.isProven,
      hasRestart: session.negotiated?.peerRestart !== undefined,
      isSimultaneous: isYoung && !capabilities.gracefulRestart?.isRestarting,
      evidence: main.evidence,
    };
    return [{ other: main.runner, running }];
  }
  const opening = {
    state: 'OpenConfirm',
    hasRestart: false,
    isSimultaneous: true,
    evidence: 'none',
  } as const;
  const isOutgoing = newcomer.connection?.isOutgoing ?? false;
  return [main, ...pending]
    .filter(({ runner }) => runner !== newcomer && runner.session.state === 'OpenConfirm')
    .filter(({ runner }) => runner.connection?.isOutgoing !== isOutgoing)
    .map(({ runner, isProven }) => ({ other: runner, running: { ...opening, isProven } }));
}
