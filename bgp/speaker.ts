/**
 * The BGP speaker: told what to be by setDesired, it listens, keeps its peers, runs the decision process at
 * the end of each turn of the event loop, tells the groups of peers, and reports the routes for the kernel.
 *
 * Restart (RFC 4724): until every peer has ended its initial update, or cannot be reached, or the restart
 * time is over, the speaker is not `settled`: routes that are in the kernel and not yet learned again are to
 * be kept by whoever programs it.
 */
import net, { type Server, type Socket } from 'node:net';
import { contains, type Family, mustCidr, parseAddress } from '../lib/cidr.ts';
import type { Clock } from '../lib/clock.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { Bfd } from './bfd/bfd.ts';
import { UpdateGroups } from './group/update-groups.ts';
import { type LearnedRoute, LearnedRoutes } from './learned.ts';
import { LocalRoutes } from './local-routes.ts';
import { type Observer, Peer } from './peer.ts';
import {
  type DesiredSpeaker,
  type DynamicPeers,
  isSamePeer,
  keyOfPeer,
  type PeerConfig,
  type PeerStatus,
} from './peer-config.ts';
import type { SpeakerIdentity } from './peer-context.ts';
import { AttributeTable } from './rib/attribute-table.ts';
import { Rib } from './rib/rib.ts';
import { SourceTable } from './rib/source.ts';
import { applyToListener, missingForSecurity, setListenKey } from './transport/socket-options.ts';
import type { Ribs } from './update-receiver.ts';
import { CeaseSubcode, ErrorCode } from './wire/iana.ts';
import { encodeMessage } from './wire/message.ts';
import type { Prefix } from './wire/nlri.ts';
import { notification } from './wire/notification.ts';

export interface SpeakerOptions {
  /** BGP identifier, dotted quad. */
  readonly identifier: string;
  /** This node's address per family: next hop of what it originates. */
  readonly addresses: Readonly<Partial<Record<Family, string>>>;
  readonly port: number;
  /** Listen on these alone; undefined: on every address. */
  readonly listenAddresses: readonly string[] | undefined;
  /** Longest wait for peers after a start, seconds. */
  readonly deferralSeconds: number;
  /** Wait for a peer that has not answered since the start, seconds. */
  readonly unreachableSeconds: number;
  /** Whether routes for the kernel are wanted: not from a reflector. */
  readonly hasKernel: boolean;
}

export interface SpeakerEvents {
  /** `learned` or `isSettled` changed. Coalesced per turn. */
  changed(): void;
  /** The changes of a turn have been sent: seconds since the first of them. */
  converged?(seconds: number): void;
}

export interface SpeakerModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly events: SpeakerEvents;
}

/** After the last new peer has everything, peers that are to go stay this long: others may not be that far. */
const RETIRE_SECONDS = 3;
/** Longest pause between two distributions, milliseconds. */
const MAX_PAUSE_MS = 10;
const families: readonly Family[] = [4, 6];

export class Speaker {
  readonly #options: SpeakerOptions;
  readonly #modules: SpeakerModules;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly ribs: Ribs;
  readonly #sources = new SourceTable();
  readonly #groups: UpdateGroups;
  readonly #learned: LearnedRoutes;
  readonly #local: LocalRoutes;
  readonly #peers = new Map<string, Peer>();
  /** By address: whom a connection that comes in belongs to. */
  readonly #byAddress = new Map<string, Peer>();
  readonly #servers: Server[] = [];
  #dynamic: readonly DynamicPeers[] = [];
  #hasWork = false;
  #isScheduled = false;
  /** No distribution before this, by performance.now(). */
  #nextAt = 0;
  #isSettled = false;
  #isStarted = false;
  readonly #awaited = new Set<string>();
  /** Peers that are new, and peers that are to go once those have everything: make before break. */
  readonly #joining = new Set<string>();
  readonly #retiring = new Set<string>();
  readonly #timers: (() => void)[] = [];
  readonly #observers = new Set<Observer>();
  readonly #bfd: Bfd;
  /** Rows of peers that are gone, to be given back when nothing refers to them any more. */
  #oldSources: number[] = [];

  constructor(options: SpeakerOptions, modules: SpeakerModules) {
    this.#options = options;
    this.#modules = modules;
    this.#clock = modules.clock;
    this.#log = modules.log;
    const attributes = new AttributeTable();
    this.ribs = {
      4: new Rib(4, attributes, this.#sources),
      6: new Rib(6, attributes, this.#sources),
    };
    this.#groups = new UpdateGroups(this.ribs, () => {
      this.#hasWork = true;
      this.#schedule();
    });
    this.#bfd = new Bfd({
      clock: modules.clock,
      log: modules.log,
      events: {
        // RFC 5882 section 4.3: the path is broken, nothing is gained by keeping routes over it (RFC 9384).
        down: (address, reason) => this.#byAddress.get(address)?.reset(CeaseSubcode.BFD_DOWN, reason),
        changed: (address, state) => {
          const peer = this.#byAddress.get(address);
          if (peer) peer.bfdState = state;
        },
      },
    });
    this.#learned = new LearnedRoutes(this.ribs);
    this.#local = new LocalRoutes(this.ribs);
  }

  /** Listens. Throws CodedError BGP_LISTEN with the sentence for the operator. */
  async listen(): Promise<void> {
    const { port, addresses, listenAddresses } = this.#options;
    const hosts = listenAddresses ?? [addresses[6] ? '::' : '0.0.0.0'];
    for (const host of hosts) {
      const server = net.createServer((socket) => this.#incoming(socket));
      this.#servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
        server.listen({ host, port, backlog: 1024 }, resolve);
      });
      applyToListener(server);
    }
    for (const { config } of this.#peers.values()) this.#setListenKeys(config.address, config.password);
  }

  /**
   * Makes the speaker what it is told to be. A change touches only the peers that it concerns; sessions stay
   * unless what changed was agreed on in OPEN. The first call starts the wait for peers.
   */
  setDesired(desired: DesiredSpeaker): void {
    this.#local.set(desired.originated);
    this.#dynamic = desired.dynamic ?? [];
    const wanted = new Map(desired.peers.map((config) => [keyOfPeer(config), config]));
    const isFirst = !this.#isStarted;
    const unwanted: Peer[] = [];
    for (const [key, peer] of this.#peers) {
      const config = wanted.get(key) ?? this.#dynamicConfig(peer);
      if (config) this.#update(key, peer, config);
      else unwanted.push(peer);
    }
    for (const [key, config] of wanted) {
      if (this.#peers.has(key)) continue;
      this.#startPeer(config);
      if (isFirst) this.#awaited.add(key);
      else this.#joining.add(key);
    }
    for (const peer of unwanted) this.#retire(peer);
    this.#watchNeighbours(desired.peers);
    if (isFirst) this.#startDeferral();
    this.#schedule();
  }

  /** Somebody looks on from now on; the function that is returned ends it. */
  observe(observer: Observer): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Whether learned routes are complete as far as this can be known. */
  get isSettled(): boolean {
    return this.#isSettled;
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
    return this.#peers.values();
  }

  peer(address: string): Peer | undefined {
    return this.#byAddress.get(address);
  }

  /** Every peer, by address. */
  status(): PeerStatus[] {
    const order = (text: string) => parseAddress(text)?.value ?? 0n;
    return [...this.#peers.values()]
      .filter(({ key }) => !this.#retiring.has(key))
      .map((peer) => peer.status())
      .sort((a, b) => (order(a.config.address) < order(b.config.address) ? -1 : 1));
  }

  /** Prefixes with at least one path. */
  get routeCount(): number {
    return this.ribs[4].prefixes.size + this.ribs[6].prefixes.size;
  }

  /**
   * Stops. With `isRestart` the sessions are dropped without NOTIFICATION, so that peers keep forwarding
   * here until this node is back; without, they are told to forget it.
   */
  async close(isRestart: boolean): Promise<void> {
    for (const cancel of this.#timers) cancel();
    this.#bfd.close();
    for (const peer of this.#peers.values()) {
      if (isRestart) peer.abandon();
      else peer.stop(CeaseSubcode.ADMINISTRATIVE_SHUTDOWN);
    }
    this.#peers.clear();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  #watchNeighbours(peers: readonly PeerConfig[]): void {
    this.#bfd.setNeighbours(
      peers.flatMap(({ address, localAddress, bfd }) =>
        bfd ? [{ address, localAddress, config: bfd }] : [],
      ),
    );
  }

  #update(key: string, peer: Peer, config: PeerConfig): void {
    if (this.#retiring.delete(key)) peer.setRetiring(false);
    if (isSamePeer(config, peer.config)) return;
    this.#setListenKeys(config.address, config.password);
    if (peer.reconfigure(config)) return;
    this.#remove(peer, CeaseSubcode.OTHER_CONFIGURATION_CHANGE);
    this.#startPeer(config);
  }

  #startPeer(config: PeerConfig): Peer {
    const { identifier, addresses } = this.#options;
    const identity: SpeakerIdentity = { identifier, addresses, isRestarting: () => !this.#isSettled };
    const peer = new Peer(config, identity, {
      ribs: this.ribs,
      sources: this.#sources,
      groups: this.#groups,
      clock: this.#clock,
      log: this.#log,
      observer: {
        message: (of, direction, bytes) => {
          for (const observer of this.#observers) observer.message(of, direction, bytes);
        },
        up: (of) => {
          for (const observer of this.#observers) observer.up(of);
        },
        down: (of, reason) => {
          for (const observer of this.#observers) observer.down(of, reason);
        },
      },
      ribChanged: () => this.#schedule(),
      settled: ({ key }) => this.#settle(key),
      ended: (ended) => this.#ended(ended),
    });
    this.#peers.set(peer.key, peer);
    this.#byAddress.set(config.address, peer);
    const missing = missingForSecurity({
      password: config.password,
      ttlSecurityHops: config.ttlSecurityHops,
    });
    if (missing) {
      this.#log.error({ peer: config.address, reason: missing }, 'peer cannot be started');
      peer.refuse(missing);
      return peer;
    }
    this.#setListenKeys(config.address, config.password);
    peer.start();
    return peer;
  }

  #setListenKeys(address: string, password: string | undefined): void {
    for (const server of this.#servers) {
      try {
        setListenKey(server, address, password);
      } catch (error) {
        this.#log.error({ peer: address, reason: messageOf(error) }, 'TCP MD5');
      }
    }
  }

  /** The peer goes: now, or when those that came with the same change have everything. */
  #retire(peer: Peer): void {
    if (this.#joining.size === 0 || !peer.negotiated) {
      if (!this.#retiring.has(peer.key)) this.#remove(peer, CeaseSubcode.PEER_DECONFIGURED);
      return;
    }
    if (this.#retiring.has(peer.key)) return;
    this.#retiring.add(peer.key);
    peer.setRetiring(true);
    if (this.#retiring.size > 1) return;
    this.#timers.push(this.#clock.after(this.#options.unreachableSeconds * 1000, () => this.#joined()));
  }

  #joined(): void {
    this.#joining.clear();
    if (this.#retiring.size === 0) return;
    this.#timers.push(
      this.#clock.after(RETIRE_SECONDS * 1000, () => {
        for (const key of this.#retiring) {
          const peer = this.#peers.get(key);
          if (peer) this.#remove(peer, CeaseSubcode.PEER_DECONFIGURED);
        }
        this.#retiring.clear();
      }),
    );
  }

  #remove(peer: Peer, subcode: number): void {
    this.#peers.delete(peer.key);
    if (this.#byAddress.get(peer.config.address) === peer) this.#byAddress.delete(peer.config.address);
    peer.stop(subcode);
    if (peer.config.password !== undefined) this.#setListenKeys(peer.config.address, undefined);
    this.#oldSources.push(peer.source);
    this.#settle(peer.key);
  }

  #incoming(socket: Socket): void {
    const address = canonicalRemote(socket);
    const peer = this.#byAddress.get(address) ?? this.#acceptDynamic(address);
    if (peer) {
      peer.accept(socket);
      return;
    }
    this.#log.debug({ peer: address }, 'connection refused: no such peer');
    const cease = {
      type: 'notification' as const,
      ...notification(ErrorCode.CEASE, CeaseSubcode.CONNECTION_REJECTED),
    };
    socket.on('error', () => undefined);
    socket.end(encodeMessage(cease, { isFourOctetAs: true, isIbgp: false }));
    setTimeout(() => socket.destroy(), 1000).unref();
  }

  #acceptDynamic(address: string): Peer | undefined {
    const dynamic = this.#dynamicFor(address);
    return dynamic && this.#startPeer({ ...dynamic.template, address, isPassive: true });
  }

  #dynamicFor(address: string): DynamicPeers | undefined {
    const parsed = parseAddress(address);
    return parsed && this.#dynamic.find(({ prefix }) => contains(mustCidr(prefix), parsed));
  }

  #dynamicConfig(peer: Peer): PeerConfig | undefined {
    if (peer.config.peerType !== 'dynamic') return undefined;
    const dynamic = this.#dynamicFor(peer.config.address);
    return dynamic && { ...dynamic.template, address: peer.config.address, isPassive: true };
  }

  /** A peer that came by itself goes by itself. */
  #ended(peer: Peer): void {
    if (peer.config.peerType !== 'dynamic') return;
    setImmediate(() => {
      if (peer.isIdle && this.#peers.get(peer.key) === peer)
        this.#remove(peer, CeaseSubcode.PEER_DECONFIGURED);
    });
  }

  /**
   * Decides and distributes once at the end of this turn, however many messages it brings. Where telling everybody
   * takes long, the next time comes no sooner than that long afterwards: what arrives meanwhile goes along, and half
   * of the processor is left for reading. A change after a pause waits for nothing.
   */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const since = performance.now();
    const run = () => {
      this.#isScheduled = false;
      const hasChanges = families.some((family) => this.ribs[family].hasChanges);
      const startedAt = performance.now();
      this.#distribute();
      const endedAt = performance.now();
      this.#nextAt = endedAt + Math.min(endedAt - startedAt, MAX_PAUSE_MS);
      if (hasChanges) this.#modules.events.converged?.((endedAt - since) / 1000);
    };
    const pause = this.#nextAt - since;
    if (pause >= 1) setTimeout(run, pause);
    else setImmediate(run);
  }

  #distribute(): void {
    let hasChanged = false;
    for (const family of families) {
      const rib = this.ribs[family];
      if (!rib.hasChanges) continue;
      const prefixes = rib.decideChanged();
      this.#groups.flush(family, prefixes, rib.touchedPaths());
      if (this.#options.hasKernel && this.#learned.update(family, prefixes)) hasChanged = true;
      rib.endTurn(this.#groups.isComplete(family));
    }
    if (this.#oldSources.length > 0) {
      for (const source of this.#oldSources) this.#sources.release(source);
      this.#oldSources = [];
    }
    if (this.#hasWork) {
      this.#hasWork = this.#groups.step();
      if (this.#hasWork) this.#schedule();
    }
    if (hasChanged) this.#modules.events.changed();
  }

  #startDeferral(): void {
    this.#isStarted = true;
    const { deferralSeconds, unreachableSeconds } = this.#options;
    this.#timers.push(
      this.#clock.after(unreachableSeconds * 1000, () => {
        for (const key of [...this.#awaited]) {
          const peer = this.#peers.get(key);
          if (peer?.negotiated) continue;
          this.#log.info(
            { peer: peer?.config.address },
            'not waiting any longer for a peer that does not answer',
          );
          this.#settle(key);
        }
      }),
      this.#clock.after(deferralSeconds * 1000, () => {
        this.#awaited.clear();
        this.#settleAll();
      }),
    );
    if (this.#awaited.size === 0) this.#settleAll();
  }

  #settle(key: string): void {
    if (this.#awaited.delete(key) && this.#awaited.size === 0) this.#settleAll();
    if (this.#joining.delete(key) && this.#joining.size === 0) this.#joined();
  }

  #settleAll(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    // After the routes of this turn: whoever listens may now remove what is not among them.
    setImmediate(() => {
      this.#distribute();
      this.#modules.events.changed();
    });
  }
}

/** Address of the other side as peers are configured: no mapped form. */
function canonicalRemote(socket: Socket): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): CodedError<'BGP_LISTEN'> {
  const remedy =
    error.code === 'EADDRINUSE'
      ? `TCP port ${port} is taken by another program, probably another BGP daemon (ss -ltnp 'sport = :${port}' names it): stop it, or set listenPort in BGPConfiguration`
      : error.code === 'EACCES'
        ? `TCP port ${port} needs CAP_NET_BIND_SERVICE: add the capability, or set listenPort above 1023 in BGPConfiguration`
        : messageOf(error);
  return new CodedError('BGP_LISTEN', `BGP cannot listen on ${host} port ${port}: ${remedy}.`, {
    cause: error,
  });
}
