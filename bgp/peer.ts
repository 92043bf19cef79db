/**
 * One peer: its conversations (one, or two for the moment of a collision), graceful restart as the receiving
 * side (restart.ts), and the flow of routes in both directions.
 */
import type { Socket } from 'node:net';
import { type Family, parseAddress } from '../lib/cidr.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { Conversation } from './conversation.ts';
import { PeerMember } from './group/peer-member.ts';
import type { GroupSpec } from './group/spec.ts';
import type { UpdateGroups } from './group/update-groups.ts';
import { keyOfPeer, type PeerConfig, type PeerStatus, sessionKey } from './peer-config.ts';
import { groupSpec, receiverContext, type SpeakerIdentity } from './peer-context.ts';
import { describePeer } from './peer-status.ts';
import { StaleRoutes } from './restart.ts';
import type { Source, SourceTable } from './rib/source.ts';
import { survivor } from './session/collision.ts';
import type { Action, Negotiated, Session, SessionConfig } from './session/session.ts';
import { type Ribs, UpdateReceiver } from './update-receiver.ts';
import { CeaseSubcode, ErrorCode, RefreshSubtype } from './wire/iana.ts';
import type { RouteRefreshMessage } from './wire/message.ts';
import { hardReset, notification } from './wire/notification.ts';
import type { OpenMessage } from './wire/open.ts';
import { endOfRib, endOfRibFamily } from './wire/update.ts';
import { type NotificationBody, WireError } from './wire/wire-error.ts';

/** A second connection this soon after the first came up was dialled before that. */
const SIMULTANEOUS_MS = 5_000;

/** Somebody who looks on: wire log, BMP, MRT. */
export interface Observer {
  message(peer: Peer, direction: 'received' | 'sent', message: Uint8Array): void;
  up(peer: Peer): void;
  down(peer: Peer, reason: string): void;
}

export interface PeerModules {
  readonly ribs: Ribs;
  readonly sources: SourceTable;
  readonly groups: UpdateGroups;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: Observer;
  /** The RIB was touched: decide and distribute. */
  readonly ribChanged: () => void;
  /** The peer ended its initial update, or will not send one: it need not be waited for. */
  readonly settled: (peer: Peer) => void;
  /** The session left Established, or a connection ended. */
  readonly ended: (peer: Peer) => void;
  /** The initial update is out: End-of-RIB is due as soon as no other peer's routes belong before it. */
  readonly endDue: (peer: Peer) => void;
}

export class Peer {
  readonly key: string;
  #config: PeerConfig;
  readonly #identity: SpeakerIdentity;
  readonly #modules: PeerModules;
  readonly #log: Log;
  readonly #stale: StaleRoutes;
  /** Row in the source table, for the life of the peer. */
  readonly source: number;
  readonly #members = new Map<Family, PeerMember>();
  #main: Conversation;
  #rival: Conversation | undefined;
  #receiver: UpdateReceiver | undefined;
  readonly #waitingForEnd = new Set<Family>();
  /** Families whose initial update is out, and their End-of-RIB not yet. */
  readonly #dueEnds = new Set<Family>();
  #isWarned = false;
  #isStopped = false;
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
    this.#since = modules.clock.now();
    this.source = modules.sources.add(this.#describeSource(0));
    this.#stale = new StaleRoutes(this.source, modules.ribs, {
      clock: modules.clock,
      log: this.#log,
      changed: modules.ribChanged,
    });
    this.#main = this.#converse();
  }

  get config(): PeerConfig {
    return this.#config;
  }

  get session(): Session {
    return this.#main.session;
  }

  get negotiated(): Negotiated | undefined {
    return this.#main.session.state === 'Established' ? this.#main.session.negotiated : undefined;
  }

  get conversation(): Conversation {
    return this.#main;
  }

  get members(): ReadonlyMap<Family, PeerMember> {
    return this.#members;
  }

  /** Whether anything is left of it: a session, an attempt, or routes that are kept. */
  get isIdle(): boolean {
    const { state } = this.#main.session;
    return (state === 'Idle' || state === 'Active') && !this.#rival && !this.#stale.isKeeping;
  }

  start(): void {
    if (this.#isShutDown) this.#stayDown();
    else this.#main.handle({ type: 'start' });
  }

  /** The peer cannot be started here, for a reason that only a person can remove. */
  refuse(reason: string): void {
    this.#lastError = reason;
  }

  /** Ends the session for good and forgets the peer's routes. */
  stop(subcode: number): void {
    this.#isStopped = true;
    this.#end(notification(ErrorCode.CEASE, subcode));
  }

  get #isShutDown(): boolean {
    return this.#config.shutdownMessage !== undefined;
  }

  /** An operator keeps the session down, and the operator there is told why (RFC 9003). */
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

  /** Ends the session, not gracefully, and lets it come up again. */
  reset(subcode: number, reason: string): void {
    if (!this.negotiated) return;
    this.#main.handle({
      type: 'error',
      notification: this.#hard(notification(ErrorCode.CEASE, subcode)),
      reason,
    });
  }

  /** Drops connections without a word: the peer keeps our routes until we are back (RFC 4724). */
  abandon(): void {
    this.#isStopped = true;
    this.#main.abandon();
    this.#rival?.abandon();
    this.#stale.cancel();
  }

  /** The peer is about to be removed: if the other side is first, its routes stay until `stop`. */
  setRetiring(isRetiring: boolean): void {
    this.#stale.setRetiring(isRetiring);
  }

  /**
   * Other settings. A running session stays, unless they are part of what was agreed on: then false, and
   * nothing was changed.
   */
  reconfigure(config: PeerConfig): boolean {
    if (sessionKey(config) !== sessionKey(this.#config)) return false;
    const { password: hadPassword, shutdownMessage } = this.#config;
    this.#config = config;
    this.#modules.sources.replace(
      this.source,
      this.#describeSource(this.#modules.sources.at(this.source).identifier),
    );
    if (hadPassword !== config.password) this.#rekey();
    if (this.#isShutDown) {
      if (shutdownMessage !== config.shutdownMessage) this.#stayDown();
      return true;
    }
    const { negotiated } = this;
    if (!negotiated) {
      this.#renewConversation();
      return true;
    }
    this.#receiver = new UpdateReceiver(
      this.#modules.ribs,
      receiverContext(this.#config, this.#identity, this.source, negotiated),
    );
    for (const family of negotiated.families) {
      const rib = this.#modules.ribs[family];
      rib.rejudge(this.source, (path) => this.#receiver!.judge(rib, path));
      rib.touchAll(this.source);
      const member = this.#members.get(family);
      if (member) this.#modules.groups.move(member, this.#groupSpec(family, negotiated));
    }
    this.#modules.ribChanged();
    return true;
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
    return describePeer(this, this.#modules.ribs, {
      since: this.#since,
      lastError: this.#lastError,
      lastNotification: this.#lastNotification,
      isRestarting: this.#stale.isKeeping && !this.negotiated,
      malformed: this.#malformed,
    });
  }

  #describeSource(identifier: number): Source {
    const { address, asNumber, localAs, isClient } = this.#config;
    return {
      peer: this.key,
      isIbgp: asNumber === localAs,
      isClient: isClient ?? false,
      identifier,
      address,
      addressValue: parseAddress(address.replace(/%.*$/, ''))?.value ?? 0n,
    };
  }

  #converse(): Conversation {
    const config = this.#config;
    const sessionConfig: SessionConfig = {
      localAs: config.localAs,
      peerAs: config.asNumber,
      identifier: this.#identity.identifier,
      holdTimeSeconds: config.holdTimeSeconds,
      keepaliveSeconds: config.keepaliveSeconds,
      isPassive: config.isPassive,
      families: config.families,
      restartTimeSeconds: config.restartTimeSeconds,
      connectRetrySeconds: config.connectRetrySeconds,
      canSendAddPath: config.canSendAddPath ?? false,
      canReceiveAddPath: config.canReceiveAddPath ?? false,
      hasExtendedNextHop: config.hasExtendedNextHop ?? false,
      longLivedSeconds: config.longLivedSeconds ?? 0,
      role: config.role,
      isRoleStrict: config.isRoleStrict ?? false,
    };
    const remote = {
      address: config.address,
      port: config.port,
      localAddress: config.localAddress,
      password: config.password,
      ttlSecurityHops: config.ttlSecurityHops,
    };
    const conversation: Conversation = new Conversation(
      { config: sessionConfig, remote, isRestarting: this.#identity.isRestarting },
      {
        clock: this.#modules.clock,
        events: {
          transition: (from, to, reason) => this.#transition(conversation, from, to, reason),
          act: (action) => this.#act(conversation, action),
          admitOpen: (open) => this.#admitOpen(conversation, open),
          update: (body) => this.#deliver(body),
          refresh: (message) => this.#refreshed(message),
          traffic: (direction, message) => this.#traffic(direction, message),
          drained: () => this.#drained(),
        },
      },
    );
    return conversation;
  }

  /** The next attempt is made with the new settings; one under way is given up. */
  #renewConversation(): void {
    if (this.#isStopped) return;
    this.#main.abandon();
    this.#main = this.#converse();
    this.start();
  }

  #rekey(): void {
    this.#main.connection?.setPassword(this.#config.address, this.#config.password);
  }

  #traffic(direction: 'received' | 'sent', message: Uint8Array): void {
    if (direction === 'received') this.counters.messagesReceived++;
    else this.counters.messagesSent++;
    this.#modules.observer.message(this, direction, message);
  }

  #cease(body: NotificationBody): void {
    this.#main.handle({ type: 'stop', notification: this.#hard(body) });
    this.#rival?.handle({ type: 'stop', notification: body });
    this.#main.abandon();
    this.#rival?.abandon();
    this.#rival = undefined;
  }

  /** RFC 8538 section 4: a session that shall end and not restart says so. */
  #hard(body: NotificationBody): NotificationBody {
    return this.negotiated?.hasNotificationRestart ? hardReset(body) : body;
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
    const local = { identifier: this.#identity.identifier, asNumber: this.#config.localAs };
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
    if (from.state === 'Established') this.counters.flaps++;
    if (to.state === 'Established') this.#lastError = undefined;
    else if (reason) this.#lastError = reason;
    if (reason?.startsWith('received ')) this.#lastNotification = reason;
    const fields = { from: from.state, to: to.state, ...(reason ? { reason } : {}) };
    if (from.state === 'Established' || to.state === 'Established') this.#log.info(fields, 'session');
    else this.#log.debug(fields, 'session');
    if (to.state === 'Idle') this.#modules.ended(this);
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
      default:
        throw new Error(`unexpected action ${action.type}`);
    }
  }

  #up(negotiated: Negotiated): void {
    const { sources, ribs, groups, observer } = this.#modules;
    const identifier = Number(parseAddress(negotiated.peerIdentifier)!.value);
    sources.replace(this.source, this.#describeSource(identifier));
    this.#isWarned = false;
    this.#receiver = new UpdateReceiver(
      ribs,
      receiverContext(this.#config, this.#identity, this.source, negotiated),
    );
    this.#stale.sessionUp(negotiated);
    this.#waitingForEnd.clear();
    for (const family of negotiated.families) {
      if (negotiated.peerRestart) this.#waitingForEnd.add(family);
      const member = new PeerMember(this, family);
      this.#members.set(family, member);
      groups.join(member, this.#groupSpec(family, negotiated));
    }
    observer.up(this);
    // Nothing to wait for from a peer that sends no End-of-RIB. One that restarts too is waited for as well, beyond
    // RFC 4724 section 4.1: its routes are not here yet, and ours are not held back for its End-of-RIB.
    if (this.#waitingForEnd.size === 0) this.#modules.settled(this);
  }

  #down(isGraceful: boolean): void {
    for (const member of this.#members.values()) this.#modules.groups.leave(member);
    this.#members.clear();
    this.#dueEnds.clear();
    this.#receiver = undefined;
    this.#modules.observer.down(this, this.#lastError ?? 'the session ended');
    this.#stale.sessionDown(isGraceful && !this.#isStopped);
    this.#modules.ribChanged();
  }

  #deliver(body: Uint8Array): void {
    this.counters.updatesReceived++;
    const ended = endOfRibFamily(body);
    if (ended) {
      this.#endOfRib(ended);
      return;
    }
    const { faults, refused } = this.#receiver!.receive(body);
    if (faults.length > 0)
      this.#malformed = { count: (this.#malformed?.count ?? 0) + 1, lastReason: faults.at(-1)!.reason };
    for (const fault of faults)
      this.#log.warn({ reason: fault.reason, verdict: fault.verdict }, 'malformed UPDATE');
    if (this.#config.prefixLimit) this.#checkLimit(refused);
    this.#modules.ribChanged();
  }

  #checkLimit(refused: number): void {
    const { limit, action, warningPercent } = this.#config.prefixLimit!;
    const count = Math.max(
      ...this.#config.families.map((family) => this.#modules.ribs[family].countOf(this.source)),
    );
    const isOver = refused > 0 || count > limit;
    if (isOver && action === 'Restart') {
      const reason = `the peer announces more than ${limit} prefixes, the limit in BGPPeer ${this.#config.name}`;
      // Not a restart: with its routes kept, the limit would not be one.
      const { code, subcode, data } = this.#hard(notification(ErrorCode.CEASE, CeaseSubcode.MAX_PREFIXES));
      throw new WireError(code, subcode, reason, data);
    }
    if (this.#isWarned || (!isOver && count < (limit * warningPercent) / 100)) return;
    this.#isWarned = true;
    this.#log.warn(
      { count, limit, action },
      isOver ? 'too many prefixes' : 'the number of prefixes nears its limit',
    );
  }

  #endOfRib(family: Family): void {
    this.#stale.endOfRib(family);
    if (!this.#waitingForEnd.delete(family) || this.#waitingForEnd.size > 0) return;
    this.#modules.settled(this);
  }

  #refreshed({ family, subtype }: RouteRefreshMessage): void {
    const member = family && this.#members.get(family);
    if (!member) return;
    switch (subtype) {
      case RefreshSubtype.REQUEST:
        this.#modules.groups.refresh(member);
        break;
      case RefreshSubtype.BEGIN:
        this.#stale.refreshBegins(family);
        break;
      case RefreshSubtype.END:
        this.#stale.endOfRib(family);
        break;
      default:
        // RFC 7313 section 5: ignored.
        this.#log.debug({ subtype }, 'ROUTE-REFRESH of an unknown subtype');
    }
  }

  #drained(): void {
    for (const member of this.#members.values()) this.#modules.groups.resume(member);
  }

  /** Marker of RFC 4724 or RFC 7313 that ends (or begins) what a group tells this peer. */
  marker(family: Family, which: 'End-of-RIB' | 'BoRR' | 'EoRR'): void {
    if (which === 'End-of-RIB') {
      this.#dueEnds.add(family);
      this.#modules.endDue(this);
    } else if (this.negotiated?.hasEnhancedRefresh) {
      const subtype = which === 'BoRR' ? RefreshSubtype.BEGIN : RefreshSubtype.END;
      this.#main.send({ type: 'route-refresh', family, subtype });
    }
  }

  /** Sends End-of-RIB where it is due and the peer has everything. True when none is due any more. */
  sendEnds(): boolean {
    for (const family of this.#dueEnds) {
      const member = this.#members.get(family);
      if (!member?.group?.isLive(member)) continue;
      this.#dueEnds.delete(family);
      this.#main.send({ type: 'update', ...endOfRib(family) });
    }
    return this.#dueEnds.size === 0;
  }

  /** Bytes of a group. */
  sendUpdates(bytes: Uint8Array): void {
    this.#main.connection?.send(bytes);
    this.#modules.observer.message(this, 'sent', bytes);
  }

  #groupSpec(family: Family, negotiated: Negotiated): GroupSpec {
    return groupSpec(this.#config, this.#identity, family, negotiated, this.#main.connection?.localAddress);
  }
}
