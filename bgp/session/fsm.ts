/**
 * The finite state machine of RFC 4271 section 8.2.2 as one pure function. It omits DelayOpen (events 12 and 20). It
 * adds `idleHold`, the IdleHoldTimer of the RFC's DampPeerOscillations, as a growing delay before a failed session is
 * retried. It also adds graceful restart after a lost connection (RFC 4724).
 *
 * A session that is Idle after a failure accepts incoming connections, so that a peer that restarts quickly does not
 * wait for our delay.
 */
import { messageOf } from '../../lib/errors.ts';
import { CeaseSubcode, ErrorCode, FsmSubcode } from '../wire/iana.ts';
import { describeNotification, notification } from '../wire/notification.ts';
import { type NotificationBody, WireError } from '../wire/wire-error.ts';
import { negotiate } from './negotiate.ts';
import type { Action, Event, Session, SessionConfig, SessionEnd, State, Step, Timer } from './session.ts';

/** Hold time while waiting for OPEN: "a large value" (RFC 4271 section 8.2.2). */
const OPEN_HOLD_SECONDS = 240;
const FIRST_RETRY_SECONDS = 0.25;
const MAX_RETRY_SECONDS = 5;

/** Events by their numbers in RFC 4271 section 8.1. */
const MANUAL_STOP = 2;
const TCP_CONNECTION_CONFIRMED = 17;

/** A session that lasts this long does not flap. */
const SETTLE_SECONDS = 30;
/** After this many short sessions in a row, the peer is flapping, and retries are damped. */
const FLAPPING = 3;
const FIRST_DAMPED_SECONDS = 1;
const MAX_DAMPED_SECONDS = 300;

/** Returns the delay before a retry, seconds, by the failures and short sessions in a row. The caller adds jitter. */
export function retrySeconds(failures: number, config: SessionConfig, shortLived = 0): number {
  const retry = Math.min(
    config.connectRetrySeconds ?? MAX_RETRY_SECONDS,
    FIRST_RETRY_SECONDS * 2 ** Math.min(failures, 10),
  );
  if (shortLived < FLAPPING) return retry;
  const damped = FIRST_DAMPED_SECONDS * 2 ** Math.min(shortLived - FLAPPING, 10);
  return Math.max(retry, Math.min(damped, MAX_DAMPED_SECONDS));
}

/** Describes a flapping session for the operator; undefined for others. */
export function describeFlapping({ state, shortLived }: Session): string | undefined {
  const falls = shortLived - (state === 'Established' ? 1 : 0);
  if (falls < FLAPPING) return undefined;
  return `flapping: the session came up and went down within ${SETTLE_SECONDS} s, ${falls} times in a row`;
}

/** Applies an event to a session. Never throws. The caller handles time and sockets. */
export function step(session: Session, event: Event, config: SessionConfig): Step {
  switch (session.state) {
    case 'Idle':
      return inIdle(session, event, config);
    case 'Connect':
      return inConnect(session, event, config);
    case 'Active':
      return inActive(session, event, config);
    case 'OpenSent':
      return inOpenSent(session, event, config);
    case 'OpenConfirm':
      return inOpenConfirm(session, event, config);
    case 'Established':
      return inEstablished(session, event, config);
    default:
      throw new Error(`unreachable state ${session.state satisfies never}`);
  }
}

function inIdle(session: Session, event: Event, config: SessionConfig): Step {
  switch (event.type) {
    case 'start': // 1, 3
      return dial(session, config);
    case 'timer': // 13
      return event.timer === 'idleHold' ? dial(session, config) : stay(session);
    case 'connected': // 17
      return openSent(session);
    case 'stop':
      return { next: idle(session), actions: [stop('idleHold'), { type: 'disconnect' }] };
    default:
      return stay(session);
  }
}

function inConnect(session: Session, event: Event, config: SessionConfig): Step {
  switch (event.type) {
    case 'connected': // 16, 17
      return openSent(session);
    case 'disconnected': // 18: the RFC goes to Idle here and in Active (RFCS.md); a peer may connect meanwhile
      return retryLater(session, event.reason, config);
    case 'timer':
      return event.timer === 'connectRetry' ? dial(session, config, [{ type: 'disconnect' }]) : stay(session); // 9
    case 'start':
      return stay(session);
    case 'stop':
      return quiet(session);
    default:
      return fail(session, config, 'unexpected event in Connect');
  }
}

function inActive(session: Session, event: Event, config: SessionConfig): Step {
  switch (event.type) {
    case 'connected': // 17
      return openSent(session);
    case 'timer':
      return event.timer === 'connectRetry' ? dial(session, config) : stay(session); // 9
    case 'disconnected': // 18, as in Connect
      return retryLater(session, event.reason, config);
    case 'start':
      return stay(session);
    case 'stop':
      return quiet(session);
    default:
      return fail(session, config, 'unexpected event in Active');
  }
}

function inOpenSent(session: Session, event: Event, config: SessionConfig): Step {
  switch (event.type) {
    case 'open': // 19
      try {
        const negotiated = negotiate(event.message, config);
        return {
          next: { ...session, state: 'OpenConfirm', negotiated },
          actions: [stop('connectRetry'), { type: 'sendKeepalive' }, ...holdTimers(negotiated)],
        };
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        return fail(session, config, messageOf(error), error.notification); // 22
      }
    case 'timer':
      if (event.timer !== 'hold') return stay(session);
      return fail(
        session,
        config,
        'no OPEN within the hold time',
        notification(ErrorCode.HOLD_TIMER_EXPIRED),
      ); // 10
    case 'disconnected': // 18: close, and wait for a connection
      return retryLater(session, event.reason, config);
    case 'keepalive':
    case 'update':
    case 'refresh':
      return fsmError(session, event.type, FsmSubcode.IN_OPEN_SENT, config);
    default:
      return common(session, event, config);
  }
}

function inOpenConfirm(session: Session, event: Event, config: SessionConfig): Step {
  const negotiated = session.negotiated!;
  switch (event.type) {
    case 'keepalive': // 26
      return {
        next: { ...session, state: 'Established', failures: 0, shortLived: session.shortLived + 1 },
        actions: [
          ...restartHold(negotiated),
          start('settle', SETTLE_SECONDS),
          { type: 'established', negotiated },
        ],
      };
    case 'timer':
      if (event.timer === 'keepalive') return { next: session, actions: keepaliveAgain(negotiated) }; // 11
      if (event.timer !== 'hold') return stay(session);
      return fail(session, config, 'hold timer expired', notification(ErrorCode.HOLD_TIMER_EXPIRED)); // 10
    case 'disconnected': // 18
      return fail(session, config, event.reason);
    case 'open':
    case 'update':
    case 'refresh':
      return fsmError(session, event.type, FsmSubcode.IN_OPEN_CONFIRM, config);
    default:
      return common(session, event, config);
  }
}

function inEstablished(session: Session, event: Event, config: SessionConfig): Step {
  const negotiated = session.negotiated!;
  switch (event.type) {
    case 'update': // 27
    case 'keepalive': // 26
    case 'refresh':
      return { next: session, actions: restartHold(negotiated) };
    case 'timer':
      if (event.timer === 'keepalive') return { next: session, actions: keepaliveAgain(negotiated) }; // 11
      if (event.timer === 'settle') return { next: { ...session, shortLived: 0 }, actions: [] };
      if (event.timer !== 'hold') return stay(session);
      return fail(session, config, 'hold timer expired', notification(ErrorCode.HOLD_TIMER_EXPIRED)); // 10
    case 'disconnected': // 18; RFC 4724 section 4.2: the peer may be restarting
    case 'replaced':
      return fail(
        session,
        config,
        event.type === 'replaced' ? 'the peer restarted and reconnected' : event.reason,
        undefined,
        negotiated.peerRestart !== undefined,
        event.type === 'replaced' ? { how: 'closed', fsmEvent: TCP_CONNECTION_CONFIRMED } : { how: 'lost' },
      );
    case 'open':
      return fsmError(session, event.type, FsmSubcode.IN_ESTABLISHED, config);
    default:
      return common(session, event, config);
  }
}

/** Handles events that are the same in every state with a connection. */
function common(session: Session, event: Event, config: SessionConfig): Step {
  switch (event.type) {
    case 'stop': // 2, 8
      return quiet(session, event.notification);
    case 'error': // 21, 22, 28
      return fail(session, config, event.reason, event.notification);
    case 'collision': // 23
      return fail(
        session,
        config,
        'another connection to this peer was kept',
        notification(ErrorCode.CEASE, CeaseSubcode.CONNECTION_COLLISION),
      );
    case 'notification': // 24, 25
      return fail(
        session,
        config,
        `received ${describeNotification(event.message)}`,
        undefined,
        isGracefulFailure(session, event.message),
        { how: 'notification received', notification: event.message },
      );
    default:
      return stay(session);
  }
}

/** Starts an attempt: connects, or waits for a connection when passive. */
function dial(session: Session, config: SessionConfig, first: readonly Action[] = []): Step {
  const state: State = config.isPassive ? 'Active' : 'Connect';
  const actions: Action[] = [
    ...first,
    stop('idleHold'),
    start('connectRetry', config.connectRetrySeconds ?? MAX_RETRY_SECONDS),
  ];
  if (!config.isPassive) actions.push({ type: 'connect' });
  return { next: { ...session, state, negotiated: undefined }, actions };
}

function openSent(session: Session): Step {
  return {
    next: { ...session, state: 'OpenSent', negotiated: undefined },
    actions: [stop('idleHold'), stop('connectRetry'), { type: 'sendOpen' }, start('hold', OPEN_HOLD_SECONDS)],
  };
}

/** To Active; retries after a growing delay. */
function retryLater(session: Session, reason: string, config: SessionConfig): Step {
  return {
    next: { ...session, state: 'Active', negotiated: undefined, failures: session.failures + 1 },
    actions: [
      ...allTimers(),
      { type: 'disconnect' },
      start('connectRetry', retrySeconds(session.failures, config, session.shortLived)),
    ],
    reason,
  };
}

/** To Idle after a failure; retries after a growing delay. */
function fail(
  session: Session,
  config: SessionConfig,
  reason: string,
  sent?: NotificationBody,
  isGraceful = isGracefulFailure(session, sent),
  end: SessionEnd = sent ? { how: 'notified', notification: sent } : { how: 'lost' },
): Step {
  const actions: Action[] = allTimers();
  if (sent) actions.push({ type: 'sendNotification', notification: sent });
  actions.push({ type: 'disconnect' });
  if (session.state === 'Established') actions.push({ type: 'down', isGraceful, end });
  const seconds = retrySeconds(session.failures, config, session.shortLived);
  // A restarting peer waits for us, and removes our routes when that takes too long (RFC 4724).
  const isPeerRestart = isGraceful && session.state === 'Established';
  actions.push(start('idleHold', isPeerRestart ? Math.min(seconds, MAX_RETRY_SECONDS) : seconds));
  const next: Session = { ...session, state: 'Idle', negotiated: undefined, failures: session.failures + 1 };
  return { next, actions, reason };
}

/** To Idle on a stop event. Does not retry. */
function quiet(session: Session, sent?: NotificationBody): Step {
  const actions: Action[] = allTimers();
  if (sent && session.state !== 'Connect' && session.state !== 'Active') {
    actions.push({ type: 'sendNotification', notification: sent });
  }
  actions.push({ type: 'disconnect' });
  if (session.state === 'Established') {
    const end: SessionEnd = sent
      ? { how: 'notified', notification: sent }
      : { how: 'closed', fsmEvent: MANUAL_STOP };
    actions.push({ type: 'down', isGraceful: false, end });
  }
  return { next: idle(session), actions, reason: 'stopped' };
}

/** RFC 8538 section 3: with the N bit on both sides, every NOTIFICATION except a hard reset is graceful. */
function isGracefulFailure(session: Session, sent: NotificationBody | undefined): boolean {
  if (session.state !== 'Established' || !session.negotiated?.hasNotificationRestart || !sent) return false;
  return sent.code !== ErrorCode.CEASE || sent.subcode !== CeaseSubcode.HARD_RESET;
}

function fsmError(session: Session, what: string, subcode: number, config: SessionConfig): Step {
  return fail(
    session,
    config,
    `${what.toUpperCase()} in state ${session.state}`,
    notification(ErrorCode.FINITE_STATE_MACHINE, subcode),
  );
}

function idle(session: Session): Session {
  return { state: 'Idle', negotiated: undefined, failures: session.failures, shortLived: 0 };
}

function stay(session: Session): Step {
  return { next: session, actions: [] };
}

function holdTimers({
  holdTimeSeconds,
  keepaliveSeconds,
}: {
  holdTimeSeconds: number;
  keepaliveSeconds: number;
}): Action[] {
  if (holdTimeSeconds === 0) return [stop('hold')];
  return [start('hold', holdTimeSeconds), start('keepalive', keepaliveSeconds)];
}

function restartHold({ holdTimeSeconds }: { holdTimeSeconds: number }): Action[] {
  return holdTimeSeconds === 0 ? [] : [start('hold', holdTimeSeconds)];
}

function keepaliveAgain({ keepaliveSeconds }: { keepaliveSeconds: number }): Action[] {
  return [{ type: 'sendKeepalive' }, start('keepalive', keepaliveSeconds)];
}

function start(timer: Timer, seconds: number): Action {
  return { type: 'startTimer', timer, seconds };
}

function stop(timer: Timer): Action {
  return { type: 'stopTimer', timer };
}

function allTimers(): Action[] {
  return [stop('connectRetry'), stop('hold'), stop('keepalive'), stop('idleHold'), stop('settle')];
}
