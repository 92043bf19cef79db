/**
 * One peer: its connections (connections.ts), routes from it (inbound.ts) and to it (advertiser.ts), and what ends a
 * session. An exception here ends at most this peer's session.
 */
import { type Family, parseAddress } from '../../lib/cidr.ts';
import { CodedError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { withTimers } from '../../lib/time.ts';
import type { PeerMember } from '../group/peer-member.ts';
import type { Negotiated, Session, SessionEnd } from '../session/session.ts';
import type { Incoming } from '../transport/port.ts';
import { missingForSecurity } from '../transport/socket-options.ts';
import { CeaseSubcode, ErrorCode } from '../wire/iana.ts';
import { hardReset, notification } from '../wire/notification.ts';
import type { NotificationBody } from '../wire/wire-error.ts';
import { Advertiser } from './advertiser.ts';
import { attemptKey, keyOfPeer, type PeerConfig, type PeerStatus } from './config.ts';
import { ConnectionSettings } from './connection-settings.ts';
import { PeerConnections } from './connections.ts';
import { groupSpec, receiverContext, remoteOf, type SpeakerIdentity, sourceOf } from './context.ts';
import { Inbound } from './inbound.ts';
import { InternalFaults } from './internal-faults.ts';
import type { ObserverOf, PeerModules } from './peer-modules.ts';
import { Reports } from './reports.ts';
import { handleRefresh } from './route-refresh.ts';
import { SessionHistory } from './session-history.ts';
import type { SessionRunner } from './session-runner.ts';
import { describePeer } from './status.ts';
import { checkDistance } from './ttl-security.ts';

/** Observer of all peers: wire log, BMP, MRT. */
export type Observer = ObserverOf<Peer>;

export class Peer {
  readonly key: string;
  #config: PeerConfig;
  readonly #identity: SpeakerIdentity;
  readonly #modules: PeerModules<Peer>;
  readonly #log: Log;
  /** Row in the source table, for the life of the peer. */
  readonly source: number;
  readonly #connections: PeerConnections;
  readonly #settings: ConnectionSettings;
  readonly #inbound: Inbound;
  readonly #advertiser: Advertiser;
  readonly #history: SessionHistory;
  readonly #reports: Reports<Peer>;
  #isStopped = false;
  readonly #faults: InternalFaults;
  /** Why the kernel refused the key for incoming connections. */
  #keyFault: string | undefined;
  readonly counters = { messagesReceived: 0, messagesSent: 0, updatesReceived: 0, updatesSent: 0, flaps: 0 };
  bfdState: string | undefined;

  constructor(config: PeerConfig, identity: SpeakerIdentity, modules: PeerModules<Peer>) {
    this.key = keyOfPeer(config);
    this.#config = config;
    this.#identity = identity;
    this.#modules = modules;
    this.#log = modules.log.child({ peer: config.address });
    this.#settings = new ConnectionSettings(identity);
    this.#history = new SessionHistory(this.#log, () => modules.clock.now());
    this.#reports = new Reports<Peer>(this, modules.observer);
    this.source = modules.sources.add(sourceOf(config, 0));
    this.#inbound = new Inbound(this.source, {
      ribs: modules.ribs,
      clock: withTimers(modules.clock, (run) => this.guard(run)),
      log: this.#log,
      config: () => this.#config,
      context: (negotiated) => receiverContext(this.#config, identity, this.source, negotiated),
      negotiated: () => this.negotiated,
      counters: this.counters,
      send: (message) => this.runner.send(message),
      hard: (body) => this.#hard(body),
      ribChanged: modules.ribChanged,
      released: () => modules.ended(this),
      settled: () => modules.settled(this),
    });
    this.#advertiser = new Advertiser({
      groups: modules.groups,
      send: (message) => this.runner.send(message),
      hasEnhancedRefresh: () => this.negotiated?.hasEnhancedRefresh ?? false,
      endOfRibDue: () => modules.endOfRibDue(this),
      spec: (family, negotiated) =>
        groupSpec(this.#config, identity, family, negotiated, this.runner.connection?.localAddress),
    });
    this.#faults = new InternalFaults({
      clock: modules.clock,
      log: this.#log,
      end: [
        () => this.#cease(notification(ErrorCode.CEASE, CeaseSubcode.OUT_OF_RESOURCES)),
        // In case the orderly end fails too.
        () => this.#connections.close(),
        () => this.#reports.faulted(),
        () => this.#leaveGroups(),
        () => this.#inbound.dropAll(),
        () => modules.ribChanged(),
      ],
      over: () => {
        if (!this.#isStopped && !this.#isShutDown) this.guard(() => this.#begin());
        modules.ended(this);
      },
    });
    this.#connections = new PeerConnections(this.key, {
      clock: modules.clock,
      transport: modules.transport,
      log: this.#log,
      limit: modules.pending,
      config: () => this.#settings.of(this.#config).session,
      remote: () => this.#settings.of(this.#config).remote,
      isRestarting: identity.isRestarting,
      events: {
        transition: (from, to, reason) => this.#transition(from, to, reason),
        up: (negotiated) => this.#up(negotiated),
        down: (isGraceful, end) => this.#down(isGraceful, end),
        failed: (reason) => this.#attemptFailed(reason),
        update: (body) => this.#inbound.deliver(body),
        refresh: (message) =>
          handleRefresh(message, this.negotiated?.hasEnhancedRefresh ?? false, {
            advertiser: this.#advertiser,
            inbound: this.#inbound,
            log: this.#log,
          }),
        traffic: (direction, message) => this.#reports.traffic(direction, message),
        drained: () => this.#advertiser.drained(),
        fault: (error) => this.fault(error),
      },
    });
  }

  get config(): PeerConfig {
    return this.#config;
  }

  get session(): Session {
    return this.#connections.session;
  }

  get negotiated(): Negotiated | undefined {
    const { session } = this.runner;
    return session.state === 'Established' ? session.negotiated : undefined;
  }

  get runner(): SessionRunner {
    return this.#connections.main;
  }

  get members(): ReadonlyMap<Family, PeerMember> {
    return this.#advertiser.members;
  }

  /** Whether the peer has no session, no attempt, no retained routes and no internal fault. */
  get isIdle(): boolean {
    return this.#connections.isIdle && !this.#inbound.isKeeping && this.#faults.reason === undefined;
  }

  start(): void {
    if (this.#isShutDown) this.#stayDown();
    else this.#begin();
  }

  /** Why no connection is made or accepted; undefined when connections are possible. */
  get #obstacle(): string | undefined {
    const { password, ttlSecurityHops, unusable } = this.#config;
    return unusable ?? missingForSecurity({ password, ttlSecurityHops }) ?? this.#faults.reason;
  }

  /** Connects with the current settings, or records why it cannot. Not for a peer with a session. */
  #begin(): void {
    const obstacle = this.#obstacle;
    if (this.#isStopped) return;
    if (obstacle === undefined) this.#connections.restart();
    else {
      this.#connections.close();
      this.#history.obstacle(obstacle);
    }
  }

  get hasKeyFault(): boolean {
    return this.#keyFault !== undefined;
  }

  /** Records why the kernel refused the key for incoming connections; undefined when it accepted the key. */
  setKeyFault(reason: string | undefined): void {
    this.#keyFault = reason;
    if (reason !== undefined && !this.negotiated) this.#history.obstacle(reason);
  }

  /**
   * Handles an exception while serving this peer: ends its session, and retries after a growing delay. Never throws.
   */
  fault(error: unknown): void {
    this.#history.ended(this.#faults.handle(error));
  }

  /** Runs a callback. An exception is a fault of this peer. */
  guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.fault(error);
    }
  }

  /** Ends the session for good and removes the peer's routes. */
  stop(subcode: number): void {
    this.#isStopped = true;
    this.#faults.cancel();
    this.#end(notification(ErrorCode.CEASE, subcode));
  }

  get #isShutDown(): boolean {
    return this.#config.shutdownMessage !== undefined;
  }

  /** Keeps the session down, and sends the shutdown message (RFC 9003). */
  #stayDown(): void {
    const message = this.#config.shutdownMessage ?? '';
    this.#end(notification(ErrorCode.CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, message));
    this.#history.ended(['administratively shut down', message].filter(Boolean).join(': '));
    this.#modules.settled(this);
  }

  #end(body: NotificationBody): void {
    this.#cease(body);
    this.#inbound.dropAll();
    this.#modules.ribChanged();
  }

  /** Ends the session without graceful restart. The peer may connect again. */
  reset(subcode: number, reason: string): void {
    if (!this.negotiated) return;
    const body = this.#hard(notification(ErrorCode.CEASE, subcode));
    this.runner.handle({ type: 'error', notification: body, reason });
  }

  /** Closes connections without NOTIFICATION, so that the peer keeps our routes until we are back (RFC 4724). */
  abandon(): void {
    this.#isStopped = true;
    this.#faults.cancel();
    this.#connections.close();
    this.#inbound.cancel();
  }

  /** Whether the peer is about to be removed. If its session ends first, its routes stay until `stop`. */
  setRetiring(isRetiring: boolean): void {
    this.#inbound.setRetiring(isRetiring);
  }

  /**
   * Applies new settings. False when a running session would be opened or negotiated differently; the caller then
   * replaces the peer. Otherwise, a session stays up. Without a session, the next attempt uses the new settings.
   */
  reconfigure(config: PeerConfig): boolean {
    const before = this.#config;
    const { negotiated } = this;
    this.#config = config;
    const isSameSource = config.localAddress === before.localAddress;
    if (negotiated && !(isSameSource && this.runner.agreesWithConfig())) {
      this.#config = before;
      return false;
    }
    if (config.asNumber !== before.asNumber) this.#inbound.dropAll();
    const { identifier } = this.#modules.sources.at(this.source);
    this.#modules.sources.replace(this.source, sourceOf(this.#config, identifier));
    if (this.#isShutDown) {
      if (before.shutdownMessage !== config.shutdownMessage) this.#stayDown();
      return true;
    }
    if (negotiated) this.#applyToSession(before, this.negotiated!);
    else if (attemptKey(before) !== attemptKey(config)) this.#begin();
    return true;
  }

  #applyToSession(before: PeerConfig, negotiated: Negotiated): void {
    // While the settings are unusable, the session keeps its key.
    const isOther = JSON.stringify(remoteOf(before)) !== JSON.stringify(remoteOf(this.#config));
    if (isOther && this.#config.unusable === undefined)
      try {
        this.runner.secure();
      } catch (error) {
        this.#log.error({ reason: messageOf(error) }, 'BGP connection keeps its former key and TTL');
      }
    this.#inbound.reconfigured(negotiated);
    this.#advertiser.move(negotiated);
    if (JSON.stringify(before.prefixLimit) !== JSON.stringify(this.#config.prefixLimit))
      this.#inbound.limitChanged();
    this.#modules.ribChanged();
  }

  /** The node's addresses changed. A session stays up, and its routes get the new next hop. */
  addressesChanged(): void {
    if (this.negotiated) this.#applyToSession(this.#config, this.negotiated);
  }

  /** Handles an incoming connection of the peer. */
  accept(incoming: Incoming): void {
    const obstacle = this.#obstacle ?? this.#keyFault;
    if (obstacle !== undefined) {
      incoming.refuse(notification(ErrorCode.CEASE, CeaseSubcode.CONNECTION_REJECTED));
      this.#modules.ended(this);
      return;
    }
    const distance = checkDistance(incoming, this.#config.ttlSecurityHops);
    if (!distance.isAccepted) {
      // RFC 5082: discard silently.
      incoming.destroy();
      this.#attemptFailed(distance.reason);
      return;
    }
    try {
      this.#connections.accept(incoming);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      incoming.destroy();
      this.#attemptFailed(error.message);
    }
  }

  status(): PeerStatus {
    return describePeer(this, this.#modules.ribs, {
      ...this.#history.describe(),
      warning: this.#warning,
      isRestarting: this.#inbound.isKeeping && !this.negotiated,
      malformed: this.#inbound.malformed,
    });
  }

  get #warning(): string | undefined {
    const { warning, unusable } = this.#config;
    const inForce = warning ?? this.#keyFault ?? (this.negotiated && unusable);
    return [inForce, this.#inbound.warning].filter((one) => one !== undefined).join('; ') || undefined;
  }

  #cease(body: NotificationBody): void {
    this.#connections.stop(this.#hard(body), body);
  }

  /** RFC 8538 section 4: wraps a NOTIFICATION in a hard reset, so that the peer does not retain our routes. */
  #hard(body: NotificationBody): NotificationBody {
    return this.negotiated?.hasNotificationRestart ? hardReset(body) : body;
  }

  #transition(from: Session, to: Session, reason: string | undefined): void {
    if (from.state === 'Established') this.counters.flaps++;
    this.#history.transition(from, to, reason);
    if (to.state === 'Idle') this.#modules.ended(this);
  }

  /** An incoming connection ended before it was a session. An established session is not affected. */
  #attemptFailed(reason: string | undefined): void {
    this.#log.debug({ reason }, 'incoming BGP connection ended');
    if (!this.negotiated && reason) this.#history.attemptFailed(reason);
    this.#modules.ended(this);
  }

  #up(negotiated: Negotiated): void {
    const { sources } = this.#modules;
    const identifier = Number(parseAddress(negotiated.peerIdentifier)!.value);
    sources.replace(this.source, sourceOf(this.#config, identifier));
    this.#identity.ownAddresses.sessionUp(this.key, this.runner.connection?.localAddress);
    this.#inbound.sessionUp(negotiated);
    this.#advertiser.join(this, negotiated);
    this.#reports.up();
    this.#modules.up(this);
    // Do not wait for a peer that sends no End-of-RIB. Unlike RFC 4724 section 4.1, do wait for one that restarts too:
    // its routes are not here yet, and our routes to it do not wait for its End-of-RIB.
    if (!this.#inbound.awaitsEndOfRib) this.#modules.settled(this);
  }

  #down(isGraceful: boolean, end: SessionEnd): void {
    this.#leaveGroups();
    this.#reports.down(end);
    this.#inbound.sessionDown(isGraceful && !this.#isStopped);
  }

  #leaveGroups(): void {
    this.#identity.ownAddresses.sessionDown(this.key);
    this.#advertiser.leave();
  }

  /** Sends a marker of RFC 4724 or RFC 7313 around the routes of a group. End-of-RIB may wait. */
  marker(family: Family, which: 'End-of-RIB' | 'BoRR' | 'EoRR'): void {
    this.#advertiser.marker(family, which);
  }

  /** Sends each End-of-RIB that is due, if all routes of its family were sent. True when none is due any more. */
  sendEndOfRib(): boolean {
    return this.#advertiser.sendEndOfRib();
  }

  /** Sends UPDATEs that a group encoded. */
  sendUpdates(bytes: Uint8Array): void {
    this.runner.connection?.send(bytes);
    this.#reports.sent(bytes);
  }
}
