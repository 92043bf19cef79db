/**
 * The BGP speaker. setDesired gives it the desired state. It listens, manages its peers, runs the decision process at
 * the end of each turn of the event loop, sends the changes to the update groups, and reports the routes for the
 * kernel. Until `isSettled` after a start (deferral.ts), the caller must keep kernel routes that are not yet relearned.
 */
import type { Family } from '../lib/cidr.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { type Time, withTimers } from '../lib/time.ts';
import { Bfd, neighboursOf } from './bfd/bfd.ts';
import { Distribution } from './distribution.ts';
import { hasAlternatePaths } from './graceful/alternate-paths.ts';
import { Deferral } from './graceful/deferral.ts';
import { PendingEndOfRib } from './graceful/end-of-rib.ts';
import { PeerReplacement, type ReplaceablePeer } from './graceful/peer-replacement.ts';
import { UpdateGroups } from './group/update-groups.ts';
import { type LearnedRoute, LearnedRoutes } from './learned-routes.ts';
import { LocalRoutes } from './local-routes.ts';
import { Acceptor } from './peer/acceptor.ts';
import {
  type DesiredSpeaker,
  isSamePeer,
  keyOfPeer,
  type PeerConfig,
  type PeerStatus,
} from './peer/config.ts';
import type { SpeakerIdentity } from './peer/context.ts';
import { DynamicRanges } from './peer/dynamic-ranges.ts';
import { ObserverSet } from './peer/observer-set.ts';
import { OwnAddresses } from './peer/own-addresses.ts';
import { type Observer, Peer } from './peer/peer.ts';
import { PendingLimit } from './peer/pending-limit.ts';
import type { Ribs } from './peer/receiver.ts';
import { describeUnstartable, sortByAddress } from './peer/status.ts';
import { PeerTable } from './peer/table.ts';
import { AttributeTable } from './rib/attribute-table.ts';
import { Rib } from './rib/rib.ts';
import { SourceTable } from './rib/source.ts';
import type { SpeakerModules, SpeakerOptions } from './speaker-options.ts';
import { CeaseSubcode } from './wire/iana.ts';
import type { Prefix } from './wire/nlri.ts';

const families: readonly Family[] = [4, 6];

export class Speaker {
  readonly #options: SpeakerOptions;
  #addresses: SpeakerOptions['addresses'];
  readonly #modules: SpeakerModules;
  readonly #clock: Time;
  readonly #log: Log;
  readonly ribs: Ribs;
  readonly #sources = new SourceTable();
  readonly #groups: UpdateGroups;
  readonly #learned: LearnedRoutes;
  readonly #local: LocalRoutes;
  readonly #peers = new PeerTable<Peer>();
  readonly #ownAddresses: OwnAddresses;
  readonly #acceptor: Acceptor;
  readonly #pending = new PendingLimit();
  /** Peers that could not be created, with the reason. */
  readonly #unstartable = new Map<string, { config: PeerConfig; reason: string }>();
  readonly #dynamic = new DynamicRanges();
  #isStarted = false;
  readonly #deferral: Deferral;
  readonly #replacement: PeerReplacement;
  readonly #pendingEndOfRib: PendingEndOfRib;
  readonly #observers: ObserverSet;
  readonly #bfd: Bfd;
  readonly #distribution: Distribution;

  constructor(options: SpeakerOptions, modules: SpeakerModules) {
    this.#options = options;
    this.#addresses = options.addresses;
    this.#modules = modules;
    const { clock } = modules;
    this.#clock = withTimers(clock, (run) => this.#guard('a BGP timer', run));
    this.#log = modules.log;
    this.#observers = new ObserverSet(modules.log);
    this.#ownAddresses = new OwnAddresses(
      { node: options.addresses, listen: options.listenAddresses },
      (address) => this.#peers.acceptor(address) !== undefined,
    );
    this.#acceptor = new Acceptor(
      { port: options.port, addresses: options.listenAddresses },
      {
        transport: modules.transport,
        log: modules.log,
        peers: this.#peers,
        dynamic: this.#dynamic,
        startPeer: (config) => this.#startPeer(config),
      },
    );
    const attributes = new AttributeTable();
    this.ribs = {
      4: new Rib(4, attributes, this.#sources),
      6: new Rib(6, attributes, this.#sources),
    };
    this.#groups = new UpdateGroups(this.ribs, {
      workChanged: () => this.#distribution.workChanged(),
      routeFault: (error) => this.#log.error({ err: error }, 'BGP route not announced'),
      groupFault: (sources, error) => {
        for (const peer of [...this.#peers]) if (sources.includes(peer.source)) peer.fault(error);
      },
    });
    this.#bfd = new Bfd({
      clock: this.#clock,
      log: modules.log,
      events: {
        // RFC 5882 section 4.3: the path is broken, so keeping its routes is useless (RFC 9384).
        down: (address, reason) => {
          const peer = this.#peers.acceptor(address);
          peer?.guard(() => peer.reset(CeaseSubcode.BFD_DOWN, reason));
        },
        changed: (address, state) => {
          const peer = this.#peers.acceptor(address);
          if (peer) peer.bfdState = state;
        },
      },
    });
    this.#learned = new LearnedRoutes(this.ribs);
    this.#distribution = new Distribution({
      clock: this.#clock,
      ribs: this.ribs,
      sources: this.#sources,
      groups: this.#groups,
      learned: options.hasKernel ? this.#learned : undefined,
      sendEndOfRib: () => this.#pendingEndOfRib.send(),
      events: modules.events,
      guard: (run) => this.#guard('route distribution', run),
    });
    this.#local = new LocalRoutes(this.ribs);
    this.#deferral = new Deferral(options, {
      clock: this.#clock,
      log: modules.log,
      stateOf: (key) => this.#peers.get(key)?.runner.session.state,
      addressOf: (key) => this.#peers.get(key)?.config.address,
      gaveUp: () => this.#distribution.schedule(),
      // After the routes of this turn, because the listener may now remove all other routes.
      over: () =>
        clock.turn(() => {
          this.#distribution.runNow();
          this.#modules.events.changed();
        }),
    });
    this.#pendingEndOfRib = new PendingEndOfRib({
      deferral: this.#deferral,
      peer: (key) => this.#peers.get(key),
      templates: () => this.#dynamic.templates,
    });
    this.#replacement = new PeerReplacement(
      { patienceSeconds: options.unreachableSeconds, longestSeconds: options.deferralSeconds },
      {
        clock: this.#clock,
        hasAlternatePaths: (key) => this.#hasAlternatePaths(key),
        remove: (key) => {
          const peer = this.#peers.get(key);
          if (peer) this.#remove(peer, CeaseSubcode.PEER_DECONFIGURED);
        },
      },
    );
  }

  /** Starts to listen. Throws CodedError BGP_LISTEN with a message for the operator. */
  async listen(): Promise<void> {
    await this.#acceptor.listen();
  }

  /**
   * Applies the desired state. A change affects only the peers that it concerns. A session stays up unless the change
   * affects its OPEN, its negotiation or its source address. The first call starts the wait for peers.
   */
  setDesired(desired: DesiredSpeaker): void {
    this.#local.set(desired.originated);
    this.#dynamic.set(desired.dynamic ?? []);
    const wanted = new Map(desired.peers.map((config) => [keyOfPeer(config), config]));
    const isFirst = !this.#isStarted;
    const unwanted: Peer[] = [];
    for (const peer of this.#peers) {
      const config = wanted.get(peer.key) ?? this.#dynamic.configFor(peer.config);
      if (config) peer.guard(() => this.#update(peer, config));
      else unwanted.push(peer);
    }
    this.#unstartable.clear();
    for (const [key, config] of wanted) {
      if (this.#peers.has(key)) continue;
      if (!isFirst && config.shutdownMessage === undefined) this.#replacement.join(replaceable(config));
      this.#tryStartPeer(config);
    }
    this.#replacement.leave(
      unwanted.filter(({ key }) => !this.#replacement.isRetiring(key)).map(({ key }) => key),
    );
    for (const peer of unwanted) if (this.#peers.get(peer.key) === peer) peer.guard(() => this.#retire(peer));
    this.#guard('BFD', () => this.#bfd.setNeighbours(neighboursOf(desired.peers)));
    if (isFirst) {
      this.#isStarted = true;
      this.#deferral.start(
        [...wanted].filter(([, config]) => config.shutdownMessage === undefined).map(([key]) => key),
        !this.#dynamic.isEmpty,
      );
    }
    this.#distribution.schedule();
  }

  /**
   * Sets the node's addresses. Sessions stay up, and peers get the new next hops. setDesired handles sessions from a
   * changed source address, which it has as localAddress.
   */
  setAddresses(addresses: SpeakerOptions['addresses']): void {
    if (families.every((family) => addresses[family] === this.#addresses[family])) return;
    this.#addresses = addresses;
    this.#ownAddresses.setNode(addresses);
    for (const peer of [...this.#peers]) peer.guard(() => peer.addressesChanged());
    this.#distribution.schedule();
  }

  /** Adds an observer. Returns a function that removes it. */
  observe(observer: Observer): () => void {
    return this.#observers.add(observer);
  }

  /** Whether the learned routes are complete: the wait after the start is over. */
  get isSettled(): boolean {
    return this.#deferral.isOver;
  }

  /** Best learned routes by prefix. */
  get learned(): ReadonlyMap<Prefix, LearnedRoute> {
    return this.#learned.routes;
  }

  /** BGP identifier, dotted quad. */
  get identifier(): string {
    return this.#options.identifier;
  }

  get peers(): Iterable<Peer> {
    return this.#peers;
  }

  peer(address: string): Peer | undefined {
    return this.#peers.acceptor(address) ?? [...this.#peers].find(({ config }) => config.address === address);
  }

  /** Status of all peers, sorted by address. */
  status(): PeerStatus[] {
    return sortByAddress([
      ...[...this.#peers].map((peer) => this.#statusOf(peer)),
      ...[...this.#unstartable.values()].map(({ config, reason }) => describeUnstartable(config, reason)),
    ]);
  }

  #statusOf(peer: Peer): PeerStatus {
    const status = peer.status();
    if (!this.#replacement.isRetiring(peer.key)) return status;
    const stay = `no longer configured: kept until other peers announce its routes, at most ${this.#options.deferralSeconds} s`;
    return { ...status, isRetiring: true, warning: stay };
  }

  /** Prefixes with at least one path. */
  get routeCount(): number {
    return this.ribs[4].prefixes.size + this.ribs[6].prefixes.size;
  }

  /**
   * Stops the speaker. With `isRestart` it closes sessions without NOTIFICATION, so that peers keep its routes until it
   * is back. Otherwise it sends Cease, and peers remove its routes.
   */
  async close(isRestart: boolean): Promise<void> {
    this.#deferral.close();
    this.#replacement.close();
    this.#bfd.close();
    for (const peer of this.#peers) {
      this.#guard('the removal of a peer', () => {
        if (isRestart) peer.abandon();
        else peer.stop(CeaseSubcode.ADMINISTRATIVE_SHUTDOWN);
      });
    }
    this.#peers.clear();
    this.#pendingEndOfRib.clear();
    await this.#acceptor.close();
  }

  #update(peer: Peer, config: PeerConfig): void {
    const isBack = this.#replacement.keep(peer.key);
    if (isBack) {
      peer.setRetiring(false);
      this.#peers.prefer(peer);
    }
    const isSame = isSamePeer(config, peer.config) && !isBack;
    if (isSame && !peer.hasKeyFault) return;
    if (!isSame && !peer.reconfigure(config)) {
      this.#remove(peer, CeaseSubcode.OTHER_CONFIGURATION_CHANGE);
      this.#tryStartPeer(config);
      return;
    }
    this.#acceptor.setKey(peer);
  }

  /** Starts a peer. On an error it logs the error and shows the peer in the status without a session. */
  #tryStartPeer(config: PeerConfig): void {
    try {
      this.#startPeer(config);
    } catch (error) {
      const reason = `internal fault: ${messageOf(error)}`;
      this.#unstartable.set(keyOfPeer(config), { config, reason });
      this.#log.error({ err: error, peer: config.address }, 'BGP peer not started');
    }
  }

  #guard(what: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#log.error({ err: error }, `fault in ${what}`);
    }
  }

  #startPeer(config: PeerConfig): Peer {
    const { identifier } = this.#options;
    const identity: SpeakerIdentity = {
      identifier,
      addresses: () => this.#addresses,
      ownAddresses: this.#ownAddresses,
      isRestarting: () => !this.#deferral.isOver,
    };
    const peer = new Peer(config, identity, {
      ribs: this.ribs,
      sources: this.#sources,
      groups: this.#groups,
      clock: this.#clock,
      transport: this.#modules.transport,
      log: this.#log,
      observer: {
        message: (of, direction, bytes) => this.#observers.message(of, direction, bytes),
        up: (of) => {
          this.#observers.up(of);
          this.#modules.events.sessionChanged?.();
        },
        down: (of, end) => {
          this.#observers.down(of, end);
          this.#modules.events.sessionChanged?.();
        },
      },
      pending: this.#pending,
      ribChanged: () => this.#distribution.schedule(),
      settled: ({ key }) => this.#settle(key),
      endOfRibDue: (of) => this.#pendingEndOfRib.add(of),
      // A dynamic peer is waited for once its session is up.
      up: ({ key, config: { peerType } }) => peerType === 'dynamic' && this.#deferral.expect(key),
      ended: (ended) => this.#ended(ended),
    });
    this.#peers.add(peer);
    this.#acceptor.setKey(peer);
    peer.guard(() => peer.start());
    return peer;
  }

  /** Removes the peer: after its replacements advertise its routes if it has any, else now. */
  #retire(peer: Peer): void {
    const isOfUse = peer.negotiated || families.some((family) => this.ribs[family].countOf(peer.source) > 0);
    if (isOfUse && this.#replacement.retire(replaceable(peer.config))) peer.setRetiring(true);
    else if (!this.#replacement.isRetiring(peer.key)) this.#remove(peer, CeaseSubcode.PEER_DECONFIGURED);
  }

  #hasAlternatePaths(key: string): boolean {
    const peer = this.#peers.get(key);
    const isGoing = (source: number) => this.#replacement.isRetiring(this.#sources.at(source).peer ?? '');
    return !peer || families.every((family) => hasAlternatePaths(this.ribs[family], peer.source, isGoing));
  }

  #remove(peer: Peer, subcode: number): void {
    this.#peers.delete(peer);
    peer.stop(subcode);
    this.#acceptor.removeKey(peer.config.address);
    this.#distribution.releaseSource(peer.source);
    this.#settle(peer.key);
  }

  /** Removes a dynamic peer after its session ended. */
  #ended(peer: Peer): void {
    if (peer.config.peerType !== 'dynamic') return;
    this.#clock.turn(() => {
      if (peer.isIdle && this.#peers.get(peer.key) === peer)
        this.#remove(peer, CeaseSubcode.PEER_DECONFIGURED);
    });
  }

  /** The peer finished its initial update or never will: stop waiting for it. */
  #settle(key: string): void {
    this.#deferral.settle(key);
    this.#replacement.settle(key);
    if (!this.#pendingEndOfRib.isEmpty) this.#distribution.schedule();
  }
}

function replaceable(config: PeerConfig): ReplaceablePeer {
  const isLeaf = config.peerType === 'node-to-node mesh' || (config.isClient ?? false);
  return { key: keyOfPeer(config), address: config.address, isLeaf };
}
