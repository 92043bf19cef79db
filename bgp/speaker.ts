/**
 * The BGP speaker: told what to be by setDesired, it listens, keeps its peers, runs the decision process at
 * the end of each turn of the event loop, and reports the routes for the kernel.
 *
 * Restart (RFC 4724): until every peer has ended its initial update, or cannot be reached, or the restart
 * time is over, the speaker is not `settled`: routes that are in the kernel and not yet learned again are to
 * be kept by whoever programs it.
 */
import net, { type Server, type Socket } from 'node:net';
import { type Cidr, type Family, mustCidr, parseAddress } from '../lib/cidr.ts';
import type { Clock } from '../lib/clock.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { Peer, type SpeakerIdentity } from './peer.ts';
import { type DesiredSpeaker, isSamePeer, keyOfPeer, type PeerStatus } from './peer-config.ts';
import { exportAttributes } from './policy/export.ts';
import type { Path } from './rib/path.ts';
import { Rib, type RibChange } from './rib/rib.ts';
import type { PathAttributes } from './wire/attributes.ts';
import { CeaseSubcode, ErrorCode, Origin } from './wire/iana.ts';
import { encodeMessage } from './wire/message.ts';
import type { Prefix } from './wire/nlri.ts';
import { notification } from './wire/notification.ts';

export interface SpeakerOptions {
  /** BGP identifier, dotted quad. */
  readonly identifier: string;
  /** This node's address per family: next hop of what it originates. */
  readonly addresses: Readonly<Partial<Record<Family, string>>>;
  readonly port: number;
  /** Listen on this node's addresses alone (bindMode NodeIP). */
  readonly bindToAddresses: boolean;
  /** Longest wait for peers after a start, seconds. */
  readonly deferralSeconds: number;
  /** Wait for a peer that has not answered since the start, seconds. */
  readonly unreachableSeconds: number;
}

/** A route for the kernel: next hops of equal cost, sorted. */
export interface LearnedRoute {
  readonly prefix: Prefix;
  readonly nextHops: readonly string[];
}

export interface SpeakerEvents {
  /** `learned` or `isSettled` changed. Coalesced per turn. */
  changed(): void;
}

export class Speaker {
  readonly #options: SpeakerOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #events: SpeakerEvents;
  readonly #rib = new Rib();
  readonly #peers = new Map<string, Peer>();
  readonly #servers: Server[] = [];
  readonly #learned = new Map<Prefix, LearnedRoute>();
  #transit: readonly Cidr[] = [];
  #isDeciding = false;
  #isSettled = false;
  readonly #awaited = new Set<string>();
  readonly #timers: (() => void)[] = [];

  constructor(options: SpeakerOptions, modules: { clock: Clock; log: Log; events: SpeakerEvents }) {
    this.#options = options;
    this.#clock = modules.clock;
    this.#log = modules.log;
    this.#events = modules.events;
  }

  /** Listens. Throws CodedError BGP_LISTEN with the sentence for the operator. */
  async listen(): Promise<void> {
    const { port, addresses, bindToAddresses } = this.#options;
    const hosts = bindToAddresses ? Object.values(addresses) : [addresses[6] ? '::' : '0.0.0.0'];
    for (const host of hosts) {
      const server = net.createServer((socket) => this.#incoming(socket));
      this.#servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
        server.listen({ host, port, backlog: 1024 }, resolve);
      });
    }
  }

  /**
   * Makes the speaker what it is told to be: new peers start, gone ones end, changed ones are made anew,
   * all others are not touched. The first call starts the wait for peers.
   */
  setDesired(desired: DesiredSpeaker): void {
    this.#transit = desired.transit.map(mustCidr);
    this.#rib.originate(new Map(desired.originated.map((prefix) => [prefix, this.#ownAttributes(prefix)])));
    const wanted = new Map(desired.peers.map((config) => [keyOfPeer(config), config]));
    for (const [key, peer] of this.#peers) {
      const config = wanted.get(key);
      if (config && isSamePeer(config, peer.config)) continue;
      this.#peers.delete(key);
      peer.stop(config ? CeaseSubcode.OTHER_CONFIGURATION_CHANGE : CeaseSubcode.PEER_DECONFIGURED);
      if (!config) this.#settle(key);
    }
    const isFirst = this.#timers.length === 0;
    for (const [key, config] of wanted) {
      if (this.#peers.has(key)) continue;
      const peer = this.#createPeer(config);
      this.#peers.set(key, peer);
      if (isFirst) this.#awaited.add(key);
      peer.start();
    }
    if (isFirst) this.#startDeferral();
    this.#schedule();
  }

  /** Whether learned routes are complete as far as this can be known. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Best learned routes by prefix. */
  get learned(): ReadonlyMap<Prefix, LearnedRoute> {
    return this.#learned;
  }

  /** Every peer, by address. */
  status(): PeerStatus[] {
    const order = (text: string) => parseAddress(text)?.value ?? 0n;
    return [...this.#peers.values()]
      .map((peer) => peer.status())
      .sort((a, b) => (order(a.config.address) < order(b.config.address) ? -1 : 1));
  }

  /** Every path of the Loc-RIB with the reason why it is or is not used. */
  *paths(): Generator<{ prefix: Prefix; path: Path; reason: string }> {
    for (const { prefix, decision } of this.#rib.routes()) {
      for (const path of decision.multipath)
        yield { prefix, path, reason: path === decision.best ? 'best' : 'multipath' };
      for (const [path, reason] of decision.losers) {
        if (!decision.multipath.includes(path)) yield { prefix, path, reason };
      }
    }
  }

  get routeCount(): number {
    return this.#rib.size;
  }

  /**
   * Stops. With `isRestart` the sessions are dropped without NOTIFICATION, so that peers keep forwarding
   * here until this node is back; without, they are told to forget it.
   */
  async close(isRestart: boolean): Promise<void> {
    for (const cancel of this.#timers) cancel();
    for (const peer of this.#peers.values()) {
      if (isRestart) peer.abandon();
      else peer.stop(CeaseSubcode.ADMINISTRATIVE_SHUTDOWN);
    }
    this.#peers.clear();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  #createPeer(config: DesiredSpeaker['peers'][number]): Peer {
    const { identifier, addresses } = this.#options;
    const identity: SpeakerIdentity = {
      identifier,
      ownAddresses: new Set(Object.values(addresses)),
      isRestarting: () => !this.#isSettled,
    };
    return new Peer(config, identity, {
      rib: this.#rib,
      clock: this.#clock,
      log: this.#log,
      ribChanged: () => this.#schedule(),
      established: (peer) => this.#offerEverything(peer),
      settled: (peer) => this.#settle(peer.key),
    });
  }

  #incoming(socket: Socket): void {
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    const peer = [...this.#peers.values()].find(({ config }) => config.address === address);
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

  #offerEverything(peer: Peer): void {
    for (const change of this.#rib.routes()) this.#offer(peer, change);
    peer.sendEndOfRib();
  }

  #offer(peer: Peer, { prefix, decision: { best } }: RibChange): void {
    const { negotiated } = peer;
    if (!negotiated) return;
    const attributes =
      best &&
      exportAttributes(prefix, best, {
        peer: peer.key,
        localAs: peer.config.localAs,
        isIbgp: negotiated.isIbgp,
        families: negotiated.families,
        nextHopSelf: this.#options.addresses,
        transit: this.#transit,
      });
    peer.adjOut.want(prefix, attributes);
  }

  /** Decides once at the end of this turn, however many messages it brings. */
  #schedule(): void {
    if (this.#isDeciding) return;
    this.#isDeciding = true;
    setImmediate(() => {
      this.#isDeciding = false;
      this.#distribute();
    });
  }

  #distribute(): void {
    const changes = this.#rib.decideChanged();
    if (changes.length === 0) return;
    for (const peer of this.#peers.values()) {
      if (!peer.negotiated) continue;
      for (const change of changes) this.#offer(peer, change);
      peer.flush();
    }
    for (const change of changes) this.#learn(change);
    this.#events.changed();
  }

  #learn({ prefix, decision: { best, multipath } }: RibChange): void {
    if (!best || best.source.peer === undefined) {
      this.#learned.delete(prefix);
      return;
    }
    const nextHops = [...new Set(multipath.map(({ attributes }) => attributes.nextHop))].sort();
    this.#learned.set(prefix, { prefix, nextHops });
  }

  #ownAttributes(prefix: Prefix): PathAttributes {
    const family = prefix.includes(':') ? 6 : 4;
    return { origin: Origin.IGP, asPath: [], nextHop: this.#options.addresses[family] ?? '' };
  }

  #startDeferral(): void {
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
  }

  #settleAll(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    // After the routes of this turn: whoever listens may now remove what is not among them.
    setImmediate(() => {
      this.#distribute();
      this.#events.changed();
    });
  }
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
