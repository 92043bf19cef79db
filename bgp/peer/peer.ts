/**
 * One peer: its connections (connections.ts), graceful restart as the Receiving Speaker (restart.ts), and routes in
 * both directions. An exception here ends at most this peer's session.
 */
import { type Family, parseAddress } from '../../lib/cidr.ts';
import { CodedError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { LogLimiter } from '../../lib/log-limiter.ts';
import type { Time } from '../../lib/time.ts';
import { PeerMember } from '../group/peer-member.ts';
import type { GroupSpec } from '../group/spec.ts';
import type { UpdateGroups } from '../group/update-groups.ts';
import type { Source, SourceTable } from '../rib/source.ts';
import type { Action, Negotiated, Session, SessionConfig, SessionEnd } from '../session/session.ts';
import type { Incoming, Remote, Transport } from '../transport/port.ts';
import { minimumTtl, missingForSecurity } from '../transport/socket-options.ts';
import type { Fault } from '../wire/attributes.ts';
import { BgpRole, CeaseSubcode, ErrorCode, RefreshSubtype } from '../wire/iana.ts';
import type { RouteRefreshMessage } from '../wire/message.ts';
import { hardReset, notification } from '../wire/notification.ts';
import { endOfRib, endOfRibFamily } from '../wire/update.ts';
import { type NotificationBody, WireError } from '../wire/wire-error.ts';
import { keyOfPeer, type PeerConfig, type PeerStatus } from './config.ts';
import { PeerConnections } from './connections.ts';
import { groupSpec, receiverContext, remoteOf, type SpeakerIdentity, sessionConfig } from './context.ts';
import { FaultDelay } from './fault-delay.ts';
import type { PendingLimit } from './pending-limit.ts';
import { PrefixLimiter } from './prefix-limit.ts';
import { type Ribs, UpdateReceiver } from './receiver.ts';
import type { SessionRunner } from './session-runner.ts';
import { StaleRoutes } from './stale-routes.ts';
import { describePeer } from './status.ts';

/** Observer of all peers: wire log, BMP, MRT. */
export interface Observer {
  message(peer: Peer, direction: 'received' | 'sent', message: Uint8Array): void;
  up(peer: Peer): void;
  down(peer: Peer, end: SessionEnd): void;
}

export interface PeerModules {
  readonly ribs: Ribs;
  readonly sources: SourceTable;
  readonly groups: UpdateGroups;
  readonly clock: Time;
  readonly transport: Transport;
  readonly log: Log;
  readonly observer: Observer;
  /** Incoming connections of all peers that are not sessions yet. */
  readonly pending: PendingLimit;
  /** The RIB changed: decide and distribute. */
  readonly ribChanged: () => void;
  /** The peer finished its initial update, or will not send one. Stop waiting for it. */
  readonly settled: (peer: Peer) => void;
  /** The session came up. */
  readonly up: (peer: Peer) => void;
  /** The session left Established, a connection ended, or no routes are retained any more. */
  readonly ended: (peer: Peer) => void;
  /** The initial update was sent. End-of-RIB may wait for peers whose routes must precede it. */
  readonly endOfRibDue: (peer: Peer) => void;
}

interface ConnectionSettings {
  readonly config: PeerConfig;
  readonly session: SessionConfig;
  readonly remote: Remote;
}

export class Peer {
  readonly key: string;
  #config: PeerConfig;
  readonly #identity: SpeakerIdentity;
  readonly #modules: PeerModules;
  readonly #log: Log;
  readonly #warnings: LogLimiter;
  readonly #stale: StaleRoutes;
  /** Row in the source table, for the life of the peer. */
  readonly source: number;
  readonly #members = new Map<Family, PeerMember>();
  readonly #connections: PeerConnections;
  #connectionSettings: ConnectionSettings | undefined;
  #receiver: UpdateReceiver | undefined;
  readonly #awaitedEndOfRib = new Set<Family>();
  /** Families whose initial update was sent, but not their End-of-RIB. */
  readonly #dueEndOfRib = new Set<Family>();
  readonly #endOfRibSent = new Set<Family>();
  /** Families for which the peer requested a refresh before their End-of-RIB was sent. */
  readonly #dueRefreshes = new Set<Family>();
  readonly #limiter: PrefixLimiter;
  #isStopped = false;
  readonly #faultDelay = new FaultDelay();
  /** Internal fault that delays the next attempt. */
  #fault: { reason: string; cancel: () => void } | undefined;
  /** Why the kernel refused the key for incoming connections. */
  #keyFault: string | undefined;
  readonly counters = { messagesReceived: 0, messagesSent: 0, updatesReceived: 0, updatesSent: 0, flaps: 0 };
  #since: number;
  #lastError: string | undefined;
  #lastNotification: string | undefined;
  #malformed: PeerStatus['malformed'];
  bfdState: string | undefined;

  constructor(config: PeerConfig, identity: SpeakerIdentity, modules: PeerModules) {
    this.key = keyOfPeer(config);
    this.#config = config;
    this.#identity = identity;
    this.#modules = modules;
    this.#log = modules.log.child({ peer: config.address });
    this.#warnings = new LogLimiter(modules.clock, this.#log);
    this.#since = modules.clock.now();
    this.source = modules.sources.add(this.#describeSource(0));
    this.#stale = new StaleRoutes(this.source, modules.ribs, {
      clock: { now: () => modules.clock.now(), after: (ms, run) => this.#after(ms, run) },
      log: this.#log,
      changed: () => {
        modules.ribChanged();
        this.#limiter.fetchLater();
        if (!this.#stale.isKeeping) modules.ended(this);
      },
    });
    this.#limiter = new PrefixLimiter({
      clock: { now: () => modules.clock.now(), after: (ms, run) => this.#after(ms, run) },
      log: this.#log,
      config: () => this.#config,
      count: (family) => modules.ribs[family].countOf(this.source),
      requestRefresh: (family) => this.#requestRefresh(family),
    });
    this.#connections = new PeerConnections(this.key, {
      clock: modules.clock,
      transport: modules.transport,
      log: this.#log,
      limit: modules.pending,
      config: () => this.#settings().session,
      remote: () => this.#settings().remote,
      isRestarting: identity.isRestarting,
      events: {
        transition: (from, to, reason) => this.#transition(from, to, reason),
        act: (action) => this.#act(action),
        failed: (reason) => this.#attemptFailed(reason),
        update: (body) => this.#deliver(body),
        refresh: (message) => this.#refreshed(message),
        traffic: (direction, message) => this.#traffic(direction, message),
        drained: () => this.#drained(),
        fault: (error) => this.fault(error),
      },
    });
  }

  get config(): PeerConfig {
    return this.#config;
  }

  /** Settings of connections. Every event of a connection reads them, so they are cached for each PeerConfig. */
  #settings(): ConnectionSettings {
    const config = this.#config;
    if (this.#connectionSettings?.config !== config)
      this.#connectionSettings = {
        config,
        session: sessionConfig(config, this.#identity),
        remote: remoteOf(config),
      };
    return this.#connectionSettings;
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
    return this.#members;
  }

  /** Whether the peer has no session, no attempt, no retained routes and no internal fault. */
  get isIdle(): boolean {
    return this.#connections.isIdle && !this.#stale.isKeeping && !this.#fault;
  }

  start(): void {
    if (this.#isShutDown) this.#stayDown();
    else this.#begin();
  }

  /** Why no connection is made or accepted; undefined when connections are possible. */
  get #obstacle(): string | undefined {
    const { password, ttlSecurityHops, unusable } = this.#config;
    return unusable ?? missingForSecurity({ password, ttlSecurityHops }) ?? this.#fault?.reason;
  }

  /** Connects with the current settings, or records why it cannot. Not for a peer with a session. */
  #begin(): void {
    const obstacle = this.#obstacle;
    if (this.#isStopped) return;
    if (obstacle === undefined) this.#connections.restart();
    else {
      this.#connections.close();
      this.#note(obstacle);
    }
  }

  #note(obstacle: string): void {
    if (this.#lastError !== obstacle) this.#log.warn({ reason: obstacle }, 'no BGP connection to this peer');
    this.#lastError = obstacle;
  }

  get hasKeyFault(): boolean {
    return this.#keyFault !== undefined;
  }

  /** Records why the kernel refused the key for incoming connections; undefined when it accepted the key. */
  setKeyFault(reason: string | undefined): void {
    this.#keyFault = reason;
    if (reason !== undefined && !this.negotiated) this.#note(reason);
  }

  /**
   * Handles an exception while serving this peer: ends its session, and retries after a growing delay. Never throws.
   */
  fault(error: unknown): void {
    const { clock } = this.#modules;
    const delayMs = this.#faultDelay.next(clock.now());
    this.#fault?.cancel();
    const cancel = clock.after(delayMs, () => {
      this.#fault = undefined;
      if (!this.#isStopped && !this.#isShutDown) this.guard(() => this.#begin());
      this.#modules.ended(this);
    });
    const reason = `internal fault: ${messageOf(error)}; next attempt in ${delayMs / 1000} s`;
    this.#fault = { reason, cancel };
    this.#log.error({ err: error, reason }, 'fault while serving a BGP peer');
    for (const step of [
      () => this.#cease(notification(ErrorCode.CEASE, CeaseSubcode.OUT_OF_RESOURCES)),
      // In case the orderly end fails too.
      () => this.#connections.close(),
      () => this.#leaveGroups(),
      () => this.#stale.dropAll(),
      () => this.#modules.ribChanged(),
    ]) {
      try {
        step();
      } catch (another) {
        this.#log.error({ err: another }, 'fault while ending the session of a BGP peer');
      }
    }
    this.#lastError = reason;
  }

  /** Runs a callback. An exception is a fault of this peer. */
  guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.fault(error);
    }
  }

  #after(delayMs: number, run: () => void): () => void {
    return this.#modules.clock.after(delayMs, () => this.guard(run));
  }

  /** Ends the session for good and removes the peer's routes. */
  stop(subcode: number): void {
    this.#isStopped = true;
    this.#fault?.cancel();
    this.#end(notification(ErrorCode.CEASE, subcode));
  }

  get #isShutDown(): boolean {
    return this.#config.shutdownMessage !== undefined;
  }

  /** Keeps the session down, and sends the shutdown message (RFC 9003). */
  #stayDown(): void {
    const message = this.#config.shutdownMessage ?? '';
    this.#end(notification(ErrorCode.CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, message));
    this.#lastError = ['administratively shut down', message].filter(Boolean).join(': ');
    this.#modules.settled(this);
  }

  #end(body: NotificationBody): void {
    this.#cease(body);
    this.#stale.dropAll();
    this.#modules.ribChanged();
  }

  /** Ends the session without graceful restart. The peer may connect again. */
  reset(subcode: number, reason: string): void {
    if (!this.negotiated) return;
    this.runner.handle({
      type: 'error',
      notification: this.#hard(notification(ErrorCode.CEASE, subcode)),
      reason,
    });
  }

  /** Closes connections without NOTIFICATION, so that the peer keeps our routes until we are back (RFC 4724). */
  abandon(): void {
    this.#isStopped = true;
    this.#fault?.cancel();
    this.#connections.close();
    this.#stale.cancel();
  }

  /** Whether the peer is about to be removed. If its session ends first, its routes stay until `stop`. */
  setRetiring(isRetiring: boolean): void {
    this.#stale.setRetiring(isRetiring);
  }

  /**
   * Applies new settings. False when a running session would be opened or negotiated differently; the caller then
   * replaces the peer. Otherwise, a session stays up. Without a session, the next attempt uses the new settings.
   */
  reconfigure(config: PeerConfig): boolean {
    const before = this.#config;
    const { negotiated } = this;
    this.#config = config;
    if (negotiated && !this.#isAgreed(before)) {
      this.#config = before;
      return false;
    }
    if (config.asNumber !== before.asNumber) this.#stale.dropAll();
    const { identifier } = this.#modules.sources.at(this.source);
    this.#modules.sources.replace(this.source, this.#describeSource(identifier));
    if (this.#isShutDown) {
      if (before.shutdownMessage !== config.shutdownMessage) this.#stayDown();
      return true;
    }
    if (negotiated) this.#applyToSession(before, this.negotiated!);
    else if (this.#attemptKey(before) !== this.#attemptKey(config)) this.#begin();
    return true;
  }

  /** Whether the current settings would result in the same session. */
  #isAgreed({ localAddress }: PeerConfig): boolean {
    return localAddress === this.#config.localAddress && this.runner.agreesWithConfig();
  }

  /** Key of all settings that an attempt to connect uses. */
  #attemptKey(config: PeerConfig): string {
    const { unusable, shutdownMessage, prefixLimit } = config;
    return JSON.stringify([
      sessionConfig(config, this.#identity),
      remoteOf(config),
      unusable,
      shutdownMessage,
      prefixLimit,
    ]);
  }

  #applyToSession(before: PeerConfig, negotiated: Negotiated): void {
    // While the settings are unusable, the session keeps its key.
    const isOther = JSON.stringify(remoteOf(before)) !== JSON.stringify(remoteOf(this.#config));
    if (isOther && this.#config.unusable === undefined) this.#secure();
    this.#receiver = new UpdateReceiver(
      this.#modules.ribs,
      receiverContext(this.#config, this.#identity, this.source, negotiated),
    );
    for (const family of negotiated.families) {
      const rib = this.#modules.ribs[family];
      rib.rejudge(this.source, (path) => this.#receiver!.judge(rib, path));
      this.#stale.restoreMarks(family);
      rib.touchAll(this.source);
      const member = this.#members.get(family);
      if (member) this.#modules.groups.move(member, this.#groupSpec(family, negotiated));
    }
    if (JSON.stringify(before.prefixLimit) !== JSON.stringify(this.#config.prefixLimit))
      this.#limiter.reconfigured();
    this.#modules.ribChanged();
  }

  /** The node's addresses changed. A session stays up, and its routes get the new next hop. */
  addressesChanged(): void {
    if (this.negotiated) this.#applyToSession(this.#config, this.negotiated);
  }

  /** Handles an incoming connection of the peer. */
  accept(incoming: Incoming): void {
    const { ttlSecurityHops } = this.#config;
    const obstacle = this.#obstacle ?? this.#keyFault;
    if (obstacle !== undefined) {
      incoming.refuse(notification(ErrorCode.CEASE, CeaseSubcode.CONNECTION_REJECTED));
      this.#modules.ended(this);
      return;
    }
    const ttl = ttlSecurityHops === undefined ? undefined : incoming.handshakeTtl();
    if (ttlSecurityHops !== undefined && (ttl === undefined || ttl < minimumTtl(ttlSecurityHops))) {
      // RFC 5082: discard silently.
      incoming.destroy();
      this.#attemptFailed(ttl === undefined ? undefined : describeTtl(ttl, ttlSecurityHops));
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
      since: this.#since,
      lastError: this.#lastError,
      warning: this.#warning,
      lastNotification: this.#lastNotification,
      isRestarting: this.#stale.isKeeping && !this.negotiated,
      malformed: this.#malformed,
    });
  }

  get #warning(): string | undefined {
    const { warning, unusable } = this.#config;
    const inForce = warning ?? this.#keyFault ?? (this.negotiated && unusable);
    return [inForce, this.#limiter.warning].filter((one) => one !== undefined).join('; ') || undefined;
  }

  #describeSource(identifier: number): Source {
    const { address, asNumber, localAs, isClient, peerType, role } = this.#config;
    return {
      peer: this.key,
      isIbgp: asNumber === localAs,
      isClient: isClient ?? false,
      isWorkload: peerType === 'local workload',
      isRouteServerClient: role === BgpRole.ROUTE_SERVER && asNumber !== localAs,
      identifier,
      address,
      addressValue: parseAddress(address.replace(/%.*$/, ''))?.value ?? 0n,
    };
  }

  /** Applies a changed key or TTL to the running connection. */
  #secure(): void {
    try {
      this.runner.secure();
    } catch (error) {
      this.#log.error({ reason: messageOf(error) }, 'BGP connection keeps its former key and TTL');
    }
  }

  #traffic(direction: 'received' | 'sent', message: Uint8Array): void {
    if (direction === 'received') this.counters.messagesReceived++;
    else this.counters.messagesSent++;
    this.#modules.observer.message(this, direction, message);
  }

  #cease(body: NotificationBody): void {
    this.#connections.stop(this.#hard(body), body);
  }

  /** RFC 8538 section 4: wraps a NOTIFICATION in a hard reset, so that the peer does not retain our routes. */
  #hard(body: NotificationBody): NotificationBody {
    return this.negotiated?.hasNotificationRestart ? hardReset(body) : body;
  }

  #transition(from: Session, to: Session, reason: string | undefined): void {
    this.#since = this.#modules.clock.now();
    if (from.state === 'Established') this.counters.flaps++;
    if (to.state === 'Established') this.#lastError = undefined;
    else if (reason) this.#lastError = reason;
    if (reason?.startsWith('received ')) this.#lastNotification = reason;
    const fields = { from: from.state, to: to.state, ...(reason ? { reason } : {}) };
    if (from.state === 'Established' || to.state === 'Established')
      this.#log.info(fields, 'BGP session state changed');
    else this.#log.debug(fields, 'BGP session state changed');
    if (to.state === 'Idle') this.#modules.ended(this);
  }

  /** An incoming connection ended before it was a session. An established session is not affected. */
  #attemptFailed(reason: string | undefined): void {
    this.#log.debug({ reason }, 'incoming BGP connection ended');
    if (!this.negotiated && reason) {
      this.#lastError = reason;
      if (reason.startsWith('received ')) this.#lastNotification = reason;
    }
    this.#modules.ended(this);
  }

  #act(action: Action): void {
    switch (action.type) {
      case 'established':
        this.#up(action.negotiated);
        break;
      case 'down':
        this.#down(action.isGraceful, action.end);
        break;
      default:
        throw new Error(`unexpected action ${action.type}`);
    }
  }

  #up(negotiated: Negotiated): void {
    const { sources, ribs, groups, observer } = this.#modules;
    const identifier = Number(parseAddress(negotiated.peerIdentifier)!.value);
    sources.replace(this.source, this.#describeSource(identifier));
    this.#receiver = new UpdateReceiver(
      ribs,
      receiverContext(this.#config, this.#identity, this.source, negotiated),
    );
    this.#identity.ownAddresses.sessionUp(this.key, this.runner.connection?.localAddress);
    this.#stale.sessionUp(negotiated);
    this.#awaitedEndOfRib.clear();
    for (const family of negotiated.families) {
      if (negotiated.peerRestart) this.#awaitedEndOfRib.add(family);
      const member = new PeerMember(this, family);
      this.#members.set(family, member);
      groups.join(member, this.#groupSpec(family, negotiated));
    }
    observer.up(this);
    this.#modules.up(this);
    // Do not wait for a peer that sends no End-of-RIB. Unlike RFC 4724 section 4.1, do wait for one that restarts too:
    // its routes are not here yet, and our routes to it do not wait for its End-of-RIB.
    if (this.#awaitedEndOfRib.size === 0) this.#modules.settled(this);
  }

  #down(isGraceful: boolean, end: SessionEnd): void {
    this.#leaveGroups();
    this.#limiter.reset();
    this.#receiver = undefined;
    this.#modules.observer.down(this, end);
    this.#stale.sessionDown(isGraceful && !this.#isStopped);
    this.#modules.ribChanged();
  }

  #leaveGroups(): void {
    const members = [...this.#members.values()];
    this.#members.clear();
    this.#identity.ownAddresses.sessionDown(this.key);
    this.#dueEndOfRib.clear();
    this.#endOfRibSent.clear();
    this.#dueRefreshes.clear();
    for (const member of members) this.#modules.groups.leave(member);
  }

  #deliver(body: Uint8Array): void {
    this.counters.updatesReceived++;
    const ended = endOfRibFamily(body);
    if (ended) {
      this.#endOfRib(ended);
      return;
    }
    const { faults, dropped } = this.#receiver!.receive(body);
    if (faults.length > 0) this.#noteMalformed(faults);
    if (this.#config.prefixLimit) this.#checkLimit(dropped);
    this.#modules.ribChanged();
  }

  /** Counts a malformed UPDATE and logs its first fault of each verdict: an invalid attribute also counts as missing. */
  #noteMalformed(faults: readonly Fault[]): void {
    this.#malformed = { count: (this.#malformed?.count ?? 0) + 1, lastReason: faults[0]!.reason };
    for (const kind of ['withdraw', 'discard'] as const) {
      const fault = faults.find(({ verdict }) => verdict === kind);
      if (fault) this.#warnings.warn(kind, { reason: fault.reason, verdict: kind }, 'malformed UPDATE');
    }
  }

  #checkLimit(dropped: readonly Family[]): void {
    const reason = this.#limiter.check(dropped);
    if (reason === undefined) return;
    // Not graceful, because retained routes would exceed the limit.
    const { code, subcode, data } = this.#hard(notification(ErrorCode.CEASE, CeaseSubcode.MAX_PREFIXES));
    throw new WireError(code, subcode, reason, data);
  }

  /** Requests all routes of a family again (RFC 2918). False when the peer does not support it. */
  #requestRefresh(family: Family): boolean {
    if (!this.negotiated?.hasRouteRefresh) return false;
    this.runner.send({ type: 'route-refresh', family, subtype: RefreshSubtype.REQUEST });
    return true;
  }

  #endOfRib(family: Family): void {
    this.#stale.endOfRib(family);
    if (!this.#awaitedEndOfRib.delete(family) || this.#awaitedEndOfRib.size > 0) return;
    this.#modules.settled(this);
  }

  #refreshed({ family, subtype }: RouteRefreshMessage): void {
    const member = family && this.#members.get(family);
    if (!member) return;
    // RFC 2918: without the capability of RFC 7313 the octet is reserved, and ignored.
    switch (this.negotiated?.hasEnhancedRefresh ? subtype : RefreshSubtype.REQUEST) {
      case RefreshSubtype.REQUEST:
        this.#refresh(family, member);
        break;
      case RefreshSubtype.BEGIN:
        this.#stale.refreshBegins(family);
        break;
      case RefreshSubtype.END:
        this.#stale.refreshEnds(family);
        break;
      default:
        // RFC 7313 section 5: ignored.
        this.#log.debug({ subtype }, 'ROUTE-REFRESH with an unknown subtype');
    }
  }

  /** Sends all routes again. With BoRR and EoRR, this waits until End-of-RIB was sent (RFC 7313 section 4). */
  #refresh(family: Family, member: PeerMember): void {
    const awaitsEnd = this.negotiated?.hasEnhancedRefresh && !this.#endOfRibSent.has(family);
    if (awaitsEnd) this.#dueRefreshes.add(family);
    else this.#modules.groups.refresh(member);
  }

  #drained(): void {
    for (const member of this.#members.values()) this.#modules.groups.resume(member);
  }

  /** Sends a marker of RFC 4724 or RFC 7313 around the routes of a group. End-of-RIB may wait. */
  marker(family: Family, which: 'End-of-RIB' | 'BoRR' | 'EoRR'): void {
    if (which === 'End-of-RIB') {
      this.#dueEndOfRib.add(family);
      this.#modules.endOfRibDue(this);
    } else if (this.negotiated?.hasEnhancedRefresh) {
      const subtype = which === 'BoRR' ? RefreshSubtype.BEGIN : RefreshSubtype.END;
      this.runner.send({ type: 'route-refresh', family, subtype });
    }
  }

  /** Sends each End-of-RIB that is due, if all routes of its family were sent. True when none is due any more. */
  sendEndOfRib(): boolean {
    for (const family of this.#dueEndOfRib) {
      const member = this.#members.get(family);
      if (!member?.group?.isLive(member)) continue;
      this.#dueEndOfRib.delete(family);
      this.#endOfRibSent.add(family);
      this.runner.send({ type: 'update', ...endOfRib(family) });
      if (this.#dueRefreshes.delete(family)) this.#modules.groups.refresh(member);
    }
    return this.#dueEndOfRib.size === 0;
  }

  /** Sends UPDATEs that a group encoded. */
  sendUpdates(bytes: Uint8Array): void {
    this.runner.connection?.send(bytes);
    this.#modules.observer.message(this, 'sent', bytes);
  }

  #groupSpec(family: Family, negotiated: Negotiated): GroupSpec {
    return groupSpec(this.#config, this.#identity, family, negotiated, this.runner.connection?.localAddress);
  }
}

function describeTtl(ttl: number, hops: number): string {
  return `an incoming connection has TTL ${ttl}, but ttlSecurity ${hops} requires ${minimumTtl(hops)}: it is not from the peer, or routers lie between`;
}
