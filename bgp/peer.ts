/**
 * One peer: its conversations (one, or two for the moment of a collision), the graceful restart of RFC 4724
 * as the receiving side, and the flow of routes in both directions.
 */
import type { Socket } from 'node:net';
import type { Family } from '../lib/cidr.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { Conversation } from './conversation.ts';
import { keyOfPeer, type PeerConfig, type PeerStatus } from './peer-config.ts';
import { importRejection } from './policy/import.ts';
import { AdjRibOut, endOfRib } from './rib/adj-rib-out.ts';
import type { PathSource } from './rib/path.ts';
import type { Rib } from './rib/rib.ts';
import { survivor } from './session/collision.ts';
import type { Action, Negotiated, Session } from './session/session.ts';
import type { GracefulRestart } from './wire/capabilities.ts';
import { ErrorCode } from './wire/iana.ts';
import { notification } from './wire/notification.ts';
import type { OpenMessage } from './wire/open.ts';
import { endOfRibFamily, type UpdateMessage } from './wire/update.ts';

/** Routes of a restarted peer that has not ended its initial update by then are dropped, seconds. */
const STALE_PATH_SECONDS = 360;
/** A second connection this soon after the first came up was dialled before that. */
const SIMULTANEOUS_MS = 5_000;

export interface PeerModules {
  readonly rib: Rib;
  readonly clock: Clock;
  readonly log: Log;
  /** The RIB was touched: decide and distribute. */
  readonly ribChanged: () => void;
  /** The session came up: every route is to be offered. */
  readonly established: (peer: Peer) => void;
  /** The peer ended its initial update, or will not send one: it need not be waited for. */
  readonly settled: (peer: Peer) => void;
}

export interface SpeakerIdentity {
  readonly identifier: string;
  readonly ownAddresses: ReadonlySet<string>;
  /** Whether this speaker has restarted and still collects routes (RFC 4724, the R bit). */
  readonly isRestarting: () => boolean;
}

export class Peer {
  readonly key: string;
  readonly config: PeerConfig;
  readonly #identity: SpeakerIdentity;
  readonly #modules: PeerModules;
  readonly #log: Log;
  #main: Conversation;
  #rival: Conversation | undefined;
  adjOut = new AdjRibOut();
  #source: PathSource | undefined;
  /** What the peer said about its restarts when the session came up. */
  #promise: GracefulRestart | undefined;
  #restartTimer: (() => void) | undefined;
  readonly #waitingForEnd = new Set<Family>();
  #since: number;
  #lastError: string | undefined;
  #flaps = 0;
  #messagesReceived = 0;
  #messagesSent = 0;
  #isStopped = false;

  constructor(config: PeerConfig, identity: SpeakerIdentity, modules: PeerModules) {
    this.key = keyOfPeer(config);
    this.config = config;
    this.#identity = identity;
    this.#modules = modules;
    this.#log = modules.log.child({ peer: config.address });
    this.#since = modules.clock.now();
    this.#main = this.#converse();
  }

  get negotiated(): Negotiated | undefined {
    return this.#main.session.state === 'Established' ? this.#main.session.negotiated : undefined;
  }

  /** Our own address on the session. */
  get localAddress(): string | undefined {
    return this.#main.connection?.localAddress ?? this.config.localAddress;
  }

  start(): void {
    this.#main.handle({ type: 'start' });
  }

  /** Ends the session for good and forgets the peer's routes. */
  stop(subcode: number): void {
    this.#isStopped = true;
    const cease = notification(ErrorCode.CEASE, subcode);
    this.#main.handle({ type: 'stop', notification: cease });
    this.#rival?.handle({ type: 'stop', notification: cease });
    this.#main.abandon();
    this.#rival?.abandon();
    this.#restartTimer?.();
    this.#modules.rib.drop(this.key, 'all');
    this.#modules.ribChanged();
  }

  /** Drops connections without a word: the peer keeps our routes until we are back (RFC 4724). */
  abandon(): void {
    this.#isStopped = true;
    this.#main.abandon();
    this.#rival?.abandon();
    this.#restartTimer?.();
  }

  /** A connection of the peer came in. */
  accept(socket: Socket): void {
    const { state } = this.#main.session;
    if (state === 'Idle' || state === 'Active') {
      this.#main.accept(socket);
      return;
    }
    this.#rival?.handle({ type: 'collision' });
    this.#rival?.abandon();
    this.#rival = this.#converse();
    this.#rival.accept(socket);
  }

  status(): PeerStatus {
    const { state } = this.#main.session;
    return {
      config: this.config,
      state,
      since: this.#since,
      lastError: this.#lastError,
      identifier: this.negotiated?.peerIdentifier,
      prefixesReceived: this.#modules.rib.receivedCount(this.key),
      prefixesSent: this.adjOut.size,
      flaps: this.#flaps,
      messagesReceived: this.#messagesReceived,
      messagesSent: this.#messagesSent,
      isRestarting: this.#restartTimer !== undefined && state !== 'Established',
    };
  }

  /** Sends what is pending, unless the peer reads too slowly: then the rest waits for `drained`. */
  flush(): void {
    if (!this.negotiated || !this.adjOut.hasPending || this.#main.connection?.isCongested) return;
    for (const update of this.adjOut.drain()) {
      this.#messagesSent++;
      this.#main.send({ type: 'update', ...update });
    }
  }

  /** The initial update is complete. */
  sendEndOfRib(): void {
    this.flush();
    for (const family of this.negotiated?.families ?? [])
      this.#main.send({ type: 'update', ...endOfRib(family) });
  }

  #converse(): Conversation {
    const { config } = this;
    const conversation: Conversation = new Conversation(
      {
        config: {
          localAs: config.localAs,
          peerAs: config.asNumber,
          identifier: this.#identity.identifier,
          holdTimeSeconds: config.holdTimeSeconds,
          keepaliveSeconds: config.keepaliveSeconds,
          isPassive: config.isPassive,
          families: config.families,
          restartTimeSeconds: config.restartTimeSeconds,
        },
        remote: { address: config.address, port: config.port, localAddress: config.localAddress },
        openMessage: () => this.#open(),
      },
      {
        clock: this.#modules.clock,
        events: {
          transition: (from, to, reason) => this.#transition(conversation, from, to, reason),
          act: (action) => this.#act(conversation, action),
          admitOpen: (open) => this.#admitOpen(conversation, open),
          message: () => {
            this.#messagesReceived++;
          },
          drained: () => this.flush(),
        },
      },
    );
    return conversation;
  }

  #open(): OpenMessage {
    const { config } = this;
    return {
      type: 'open',
      asNumber: config.localAs,
      holdTimeSeconds: config.holdTimeSeconds,
      identifier: this.#identity.identifier,
      capabilities: {
        families: config.families,
        hasRouteRefresh: true,
        hasExtendedMessages: true,
        fourOctetAs: config.localAs,
        gracefulRestart: {
          isRestarting: this.#identity.isRestarting(),
          hasNotification: false,
          restartTimeSeconds: config.restartTimeSeconds,
          families: config.families.map((family) => ({ family, isForwardingKept: true })),
        },
        unknown: [],
      },
    };
  }

  /** Two connections: decides which one may go on (RFC 4271 section 6.8, RFC 4724 section 4.2). */
  #admitOpen(conversation: Conversation, open: OpenMessage): boolean {
    const other = conversation === this.#main ? this.#rival : this.#main;
    if (!other) return true;
    const { state, negotiated } = other.session;
    if (state !== 'Established' && state !== 'OpenConfirm') return true;
    const hasPriority =
      state === 'OpenConfirm' || this.#isSimultaneous(open)
        ? // By the same rule on both sides, also when one of them is Established a moment before the other.
          this.#isSurvivor(conversation, open)
        : negotiated?.peerRestart !== undefined;
    if (!hasPriority) {
      conversation.handle({ type: 'collision' });
      return false;
    }
    other.handle({ type: state === 'Established' && negotiated?.peerRestart ? 'replaced' : 'collision' });
    this.#promote(conversation);
    return true;
  }

  /** Whether this one of two connections stays, by RFC 4271 section 6.8. */
  #isSurvivor(conversation: Conversation, open: OpenMessage): boolean {
    const local = { identifier: this.#identity.identifier, asNumber: this.config.localAs };
    const winner = survivor(local, { identifier: open.identifier, asNumber: open.asNumber });
    return (winner === 'outgoing') === (conversation.connection?.isOutgoing ?? false);
  }

  /** Whether a second OPEN comes from two sides that dialled at once, and not from a peer that restarted. */
  #isSimultaneous({ capabilities }: OpenMessage): boolean {
    const age = this.#modules.clock.now() - this.#since;
    return !capabilities.gracefulRestart?.isRestarting && age < SIMULTANEOUS_MS;
  }

  /** The conversation is the peer's only one from here on. */
  #promote(conversation: Conversation): void {
    const other = conversation === this.#main ? this.#rival : this.#main;
    this.#main = conversation;
    this.#rival = undefined;
    other?.abandon();
  }

  #transition(conversation: Conversation, from: Session, to: Session, reason: string | undefined): void {
    if (conversation === this.#rival) {
      if (to.state === 'Established') this.#promote(conversation);
      else if (to.state === 'Idle' || to.state === 'Active') {
        conversation.abandon();
        this.#rival = undefined;
        return;
      }
    }
    if (conversation !== this.#main) return;
    this.#since = this.#modules.clock.now();
    if (from.state === 'Established') this.#flaps++;
    if (to.state === 'Established') this.#lastError = undefined;
    else if (reason) this.#lastError = reason;
    const fields = { from: from.state, to: to.state, ...(reason ? { reason } : {}) };
    if (from.state === 'Established' || to.state === 'Established') this.#log.info(fields, 'session');
    else this.#log.debug(fields, 'session');
  }

  #act(conversation: Conversation, action: Action): void {
    switch (action.type) {
      case 'established':
        if (conversation === this.#rival) this.#promote(conversation);
        this.#up(action.negotiated);
        break;
      case 'down':
        this.#down(action.isGraceful);
        break;
      case 'deliver':
        this.#deliver(action.update);
        break;
      case 'resend':
        this.adjOut.resend(action.family ? [action.family] : []);
        this.flush();
        break;
      default:
        throw new Error(`unexpected action ${action.type}`);
    }
  }

  #up(negotiated: Negotiated): void {
    const { config } = this;
    this.adjOut = new AdjRibOut();
    this.#promise = negotiated.peerRestart;
    this.#source = {
      peer: this.key,
      isIbgp: negotiated.isIbgp,
      identifier: negotiated.peerIdentifier,
      address: config.address,
    };
    // RFC 4724 section 4.2: what the peer did not keep forwarding is gone.
    const kept = (negotiated.peerRestart?.families ?? []).filter(({ isForwardingKept }) => isForwardingKept);
    const lost = ([4, 6] as const).filter((family) => !kept.some((entry) => entry.family === family));
    this.#modules.rib.drop(this.key, 'stale', lost);
    this.#waitingForEnd.clear();
    if (negotiated.peerRestart) for (const family of negotiated.families) this.#waitingForEnd.add(family);
    this.#startRestartTimer(STALE_PATH_SECONDS, 'the peer did not end its initial update');
    this.#modules.established(this);
    this.#modules.ribChanged();
    // Nothing to wait for from a peer that sends no End-of-RIB. One that restarts too is waited for as well: it
    // may itself wait for ours (RFC 4724 section 4.1), and that is on its way, because we never hold routes back.
    if (this.#waitingForEnd.size === 0) this.#modules.settled(this);
  }

  #down(isGraceful: boolean): void {
    this.adjOut = new AdjRibOut();
    const promise = this.#promise;
    if (isGraceful && promise && !this.#isStopped) {
      const families = promise.families.map(({ family }) => family);
      this.#modules.rib.markStale(this.key, families);
      this.#startRestartTimer(promise.restartTimeSeconds, 'the peer did not come back in time');
    } else {
      this.#restartTimer?.();
      this.#restartTimer = undefined;
      this.#modules.rib.drop(this.key, 'all');
    }
    this.#modules.ribChanged();
  }

  #startRestartTimer(seconds: number, reason: string): void {
    this.#restartTimer?.();
    this.#restartTimer = this.#modules.clock.after(seconds * 1000, () => {
      this.#restartTimer = undefined;
      this.#log.warn({ reason }, 'dropping its stale routes');
      this.#modules.rib.drop(this.key, 'stale');
      this.#modules.ribChanged();
    });
  }

  #deliver(update: UpdateMessage): void {
    const ended = endOfRibFamily(update);
    if (ended) {
      this.#endOfRib(ended);
      return;
    }
    const { rib } = this.#modules;
    const source = this.#source!;
    for (const fault of update.faults)
      this.#log.warn({ reason: fault.reason, verdict: fault.verdict }, 'malformed UPDATE');
    for (const prefix of [...update.withdrawn, ...(update.unreach?.prefixes ?? [])])
      rib.receive(this.key, prefix, undefined);
    const announce = (prefixes: readonly string[], nextHop: string | undefined) => {
      const attributes = update.attributes && {
        ...update.attributes,
        nextHop: nextHop ?? update.attributes.nextHop,
      };
      const rejection = attributes && importRejection(attributes, this.#importContext(source));
      const path = attributes && { source, attributes, isStale: false, rejection };
      for (const prefix of prefixes) rib.receive(this.key, prefix, path);
    };
    announce(update.nlri, undefined);
    if (update.reach) announce(update.reach.prefixes, update.reach.nextHop);
    this.#modules.ribChanged();
  }

  #importContext(source: PathSource) {
    return {
      localAs: this.config.localAs,
      peerAs: this.config.asNumber,
      isIbgp: source.isIbgp,
      identifier: this.#identity.identifier,
      ownAddresses: this.#identity.ownAddresses,
      allowedLocalAs: this.config.allowedLocalAs,
    };
  }

  #endOfRib(family: Family): void {
    this.#modules.rib.drop(this.key, 'stale', [family]);
    this.#modules.ribChanged();
    if (!this.#waitingForEnd.delete(family) || this.#waitingForEnd.size > 0) return;
    this.#restartTimer?.();
    this.#restartTimer = undefined;
    this.#modules.settled(this);
  }
}
