/**
 * The connections of one peer: the main one, which dials and holds the session, and incoming ones that are not sessions
 * yet. Each incoming connection has its own state machine. Until it is Established, its messages do not affect the
 * others, and it does not keep the main one from dialling.
 */
import type { Log } from '../../lib/log.ts';
import type { Time } from '../../lib/time.ts';
import { survivor } from '../session/collision.ts';
import type { Action, Negotiated, Session, SessionConfig, SessionEnd } from '../session/session.ts';
import { type Newcomer, type Running, takeover } from '../session/takeover.ts';
import type { Incoming, Remote, Transport } from '../transport/port.ts';
import { CeaseSubcode, ErrorCode } from '../wire/iana.ts';
import { notification } from '../wire/notification.ts';
import type { OpenMessage } from '../wire/open.ts';
import type { NotificationBody } from '../wire/wire-error.ts';
import { collidingConnections, isNearer, isOpening } from './colliding-connections.ts';
import type { PendingConnection, PendingLimit } from './pending-limit.ts';
import { Probe } from './probe.ts';
import { SessionRunner, type SessionRunnerEvents } from './session-runner.ts';

export interface ConnectionsEvents
  extends Pick<SessionRunnerEvents, 'update' | 'refresh' | 'traffic' | 'drained' | 'fault'> {
  /** The state of the session changed. */
  transition(from: Session, to: Session, reason: string | undefined): void;
  /** The session came up. */
  up(negotiated: Negotiated): void;
  /** The session went down. */
  down(isGraceful: boolean, end: SessionEnd): void;
  /** An incoming connection ended before it was a session. */
  failed(reason: string | undefined): void;
}

export interface ConnectionsModules {
  readonly clock: Time;
  readonly transport: Transport;
  readonly log: Log;
  readonly limit: PendingLimit;
  readonly events: ConnectionsEvents;
  readonly config: () => SessionConfig;
  readonly remote: () => Remote;
  readonly isRestarting: () => boolean;
}

/** An incoming connection that is not Established yet. */
interface Pending extends PendingConnection {
  readonly runner: SessionRunner;
  readonly isProven: boolean;
  hasOpen: boolean;
  cancelTimer: () => void;
}

/** An incoming connection must send its OPEN within this time. */
const OPEN_LIMIT_MS = 60_000;
/** Minimum time between two KEEPALIVEs that probe a session. */
const PROBE_INTERVAL_MS = 250;
const LOOK_MS = 20;

export class PeerConnections {
  readonly #key: string;
  readonly #modules: ConnectionsModules;
  #main: SessionRunner;
  /** Whether the session uses an incoming connection with TCP MD5 or GTSM. */
  #isMainProven = false;
  readonly #pending = new Set<Pending>();
  /** Arrival time of each OPEN that waits. */
  readonly #waitingSince = new Map<SessionRunner, number>();
  #establishedAt = Number.NEGATIVE_INFINITY;
  #probe: Probe | undefined;
  #probedAt = Number.NEGATIVE_INFINITY;
  #isReconsidering = false;
  /** Whether any connection was started, accepted or closed, so that a restart needs a new `#main`. */
  #isUsed = false;
  #cancelLook = () => {};

  constructor(key: string, modules: ConnectionsModules) {
    this.#key = key;
    this.#modules = modules;
    this.#main = this.#newRunner();
  }

  /** The runner that holds the session or tries to open it. */
  get main(): SessionRunner {
    return this.#main;
  }

  /** The session value that is nearest to Established. */
  get session(): Session {
    let { session } = this.#main;
    for (const { runner } of this.#pending) if (isNearer(runner.session, session)) session = runner.session;
    return session;
  }

  /** Whether no connection exists or is being made. */
  get isIdle(): boolean {
    const { state } = this.#main.session;
    return (state === 'Idle' || state === 'Active') && this.#pending.size === 0;
  }

  start(): void {
    this.#isUsed = true;
    this.#main.handle({ type: 'start' });
  }

  /** Closes all connections and starts again. Not for a peer with a session. */
  restart(): void {
    if (this.#isUsed) {
      this.close();
      this.#main = this.#newRunner();
    }
    this.start();
  }

  /** Ends the session with one NOTIFICATION, and all other connections with another. */
  stop(body: NotificationBody, forOthers = body): void {
    this.#main.handle({ type: 'stop', notification: body });
    for (const { runner } of [...this.#pending]) runner.handle({ type: 'stop', notification: forOthers });
    this.close();
  }

  /** Closes all connections without NOTIFICATION. */
  close(): void {
    this.#isUsed = true;
    this.#main.close();
    for (const pending of [...this.#pending]) this.#drop(pending);
    this.#cancelLook();
    this.#waitingSince.clear();
    this.#probe = undefined;
  }

  /** Accepts an incoming connection of the peer. Throws CodedError BGP_SOCKET when its options cannot be set. */
  accept(incoming: Incoming): void {
    this.#isUsed = true;
    const { clock, limit, remote } = this.#modules;
    const { password, ttlSecurityHops } = remote();
    const pending: Pending = {
      peer: this.#key,
      runner: this.#newRunner(),
      isProven: password !== undefined || ttlSecurityHops === 1,
      hasOpen: false,
      cancelTimer: () => {},
      evict: () => this.#giveUp(pending, 'too many connections from this peer'),
    };
    if (!limit.add(pending)) {
      pending.runner.close();
      incoming.refuse(notification(ErrorCode.CEASE, CeaseSubcode.OUT_OF_RESOURCES));
      return;
    }
    pending.runner.inherit(this.#main.session);
    this.#pending.add(pending);
    pending.cancelTimer = clock.after(OPEN_LIMIT_MS, () => {
      if (!pending.hasOpen) this.#giveUp(pending, 'no OPEN on an incoming connection');
    });
    try {
      pending.runner.accept(incoming);
    } catch (error) {
      this.#drop(pending);
      throw error;
    }
  }

  #newRunner(): SessionRunner {
    const { clock, transport, config, remote, isRestarting, events } = this.#modules;
    const runner: SessionRunner = new SessionRunner(
      { config, remote, isRestarting },
      {
        clock,
        transport,
        events: {
          update: (body) => events.update(body),
          refresh: (message) => events.refresh(message),
          traffic: (direction, message) => events.traffic(direction, message),
          drained: () => events.drained(),
          fault: (error) => events.fault(error),
          transition: (from, to, reason) => this.#transition(runner, from, to, reason),
          act: (action) => this.#act(runner, action),
          admitOpen: (open) => this.#admitOpen(runner, open),
        },
      },
    );
    return runner;
  }

  #act(runner: SessionRunner, action: Action): void {
    const { clock, events } = this.#modules;
    switch (action.type) {
      case 'established':
        this.#promote(runner);
        this.#establishedAt = clock.now();
        events.up(action.negotiated);
        break;
      case 'down':
        events.down(action.isGraceful, action.end);
        break;
      default:
        throw new Error(`unexpected action ${action.type}`);
    }
  }

  #transition(runner: SessionRunner, from: Session, to: Session, reason: string | undefined): void {
    const pending = this.#pendingOf(runner);
    if (!pending) this.#modules.events.transition(from, to, reason);
    else if (to.state === 'Idle' || to.state === 'Active') {
      this.#drop(pending);
      this.#modules.events.failed(reason);
    }
    if (from.state === 'Established') this.#probe = undefined;
    this.#reconsider();
  }

  /** Makes the runner the main one, and ends those that compete with it. */
  #promote(runner: SessionRunner): void {
    const pending = this.#pendingOf(runner);
    if (pending) {
      this.#release(pending);
      this.#main.close();
      this.#main = runner;
      this.#isMainProven = pending.isProven;
    }
    this.#refuseOthers();
  }

  /** Ends connections in OpenConfirm when a session comes up. One without an OPEN stays: the peer may be restarting. */
  #refuseOthers(): void {
    for (const { runner } of [...this.#pending])
      if (runner.session.state === 'OpenConfirm') runner.handle({ type: 'collision' });
  }

  #admitOpen(runner: SessionRunner, open: OpenMessage): 'admit' | 'refuse' | 'wait' {
    const pending = this.#pendingOf(runner);
    if (pending) pending.hasOpen = true;
    this.#waitingSince.set(runner, this.#modules.clock.now());
    const verdict = this.#judge(runner, open);
    if (verdict !== 'wait') this.#waitingSince.delete(runner);
    else this.#lookLater();
    return verdict;
  }

  /** Decides on an OPEN by all connections that it competes with, and ends those that it replaces. */
  #judge(runner: SessionRunner, open: OpenMessage): 'admit' | 'refuse' | 'wait' {
    // Nearly always it is the only connection.
    if (this.#isAlone(runner)) return 'admit';
    const colliding = collidingConnections(
      runner,
      open,
      {
        runner: this.#main,
        isProven: this.#isMainProven,
        establishedMs: this.#modules.clock.now() - this.#establishedAt,
        evidence: this.#probe?.evidence ?? 'none',
      },
      this.#pending,
    );
    const verdicts = colliding.map(({ running }) => takeover(this.#newcomer(runner, open), running));
    if (verdicts.includes('refuse')) return 'refuse';
    if (verdicts.includes('wait')) return 'wait';
    for (const [i, { other, running }] of colliding.entries())
      if (verdicts[i] === 'replace') this.#replace(runner, other, running);
    return 'admit';
  }

  /** Whether no other connection is in OpenConfirm or Established. */
  #isAlone(runner: SessionRunner): boolean {
    const isBusy = (other: SessionRunner) => other !== runner && isOpening(other.session);
    if (isBusy(this.#main)) return false;
    for (const pending of this.#pending) if (isBusy(pending.runner)) return false;
    return true;
  }

  #newcomer(runner: SessionRunner, open: OpenMessage): Newcomer {
    const isOutgoing = runner.connection?.isOutgoing ?? false;
    const { identifier, localAs } = this.#modules.config();
    const winner = survivor({ identifier, asNumber: localAs }, open);
    const since = this.#waitingSince.get(runner) ?? this.#modules.clock.now();
    return {
      isOutgoing,
      isProven: this.#pendingOf(runner)?.isProven ?? false,
      isSurvivor: (winner === 'outgoing') === isOutgoing,
      waitedMs: this.#modules.clock.now() - since,
    };
  }

  /** Ends `other`. If that was the main runner, this one becomes it and retries when it fails. */
  #replace(runner: SessionRunner, other: SessionRunner, running: Running): void {
    const isLost = running.state === 'Established' && (running.hasRestart || running.evidence === 'silent');
    if (isLost) {
      const reason =
        running.evidence === 'silent'
          ? 'the old connection does not respond'
          : 'the new connection is authenticated';
      this.#modules.log.info({ reason }, 'BGP session replaced by a second connection');
    }
    other.handle({ type: isLost ? 'replaced' : 'collision' });
    const pending = this.#pendingOf(runner);
    if (other !== this.#main || !pending) return;
    this.#release(pending);
    other.close();
    this.#main = runner;
    this.#isMainProven = pending.isProven;
  }

  /** Decides again on each OPEN that waits. */
  #reconsider(): void {
    if (this.#isReconsidering) return;
    if (this.#waitingSince.size === 0) {
      this.#probe = undefined;
      return;
    }
    this.#isReconsidering = true;
    try {
      for (const runner of [...this.#waitingSince.keys()]) {
        const open = runner.waiting;
        const verdict = open ? this.#judge(runner, open) : 'gone';
        if (verdict === 'wait') continue;
        this.#waitingSince.delete(runner);
        if (verdict === 'admit') runner.resume();
        else if (verdict === 'refuse') runner.handle({ type: 'collision' });
      }
    } finally {
      this.#isReconsidering = false;
    }
    if (this.#waitingSince.size > 0) this.#lookLater();
    else this.#probe = undefined;
  }

  /** Probes the session that an OPEN competes with, and schedules the next decision. */
  #lookLater(): void {
    const { clock, events } = this.#modules;
    try {
      this.#startProbe();
    } catch (error) {
      events.fault(error);
    }
    this.#cancelLook();
    this.#cancelLook = clock.after(LOOK_MS, () => {
      try {
        this.#reconsider();
      } catch (error) {
        events.fault(error);
      }
    });
  }

  #startProbe(): void {
    const { connection, session } = this.#main;
    const now = this.#modules.clock.now();
    if (this.#probe || !connection || session.state !== 'Established') return;
    if (now - this.#probedAt < PROBE_INTERVAL_MS) return;
    this.#probedAt = now;
    this.#probe = new Probe(connection, () => this.#modules.clock.now());
    this.#main.send({ type: 'keepalive' });
  }

  #giveUp(pending: Pending, reason: string): void {
    const body = notification(ErrorCode.CEASE, CeaseSubcode.OUT_OF_RESOURCES);
    pending.runner.handle({ type: 'error', notification: body, reason });
    this.#drop(pending);
  }

  #pendingOf(runner: SessionRunner): Pending | undefined {
    for (const pending of this.#pending) if (pending.runner === runner) return pending;
    return undefined;
  }

  #drop(pending: Pending): void {
    this.#release(pending);
    pending.runner.close();
  }

  /** Removes a connection from the pending ones, without closing it. */
  #release(pending: Pending): void {
    pending.cancelTimer();
    this.#pending.delete(pending);
    this.#waitingSince.delete(pending.runner);
    this.#modules.limit.delete(pending);
  }
}
