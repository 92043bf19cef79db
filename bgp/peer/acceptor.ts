/** Listens, and gives each connection that arrives to the peer at its source address, or refuses it. */
import type { Log } from '../../lib/log.ts';
import type { Incoming, Listener, ListenOptions, Transport } from '../transport/port.ts';
import { CeaseSubcode, ErrorCode } from '../wire/iana.ts';
import { notification } from '../wire/notification.ts';
import type { PeerConfig } from './config.ts';
import type { DynamicRanges } from './dynamic-ranges.ts';
import type { Peer } from './peer.ts';
import type { PeerTable } from './table.ts';

export interface AcceptorModules {
  readonly transport: Transport;
  readonly log: Log;
  readonly peers: PeerTable<Peer>;
  readonly dynamic: DynamicRanges;
  /** Starts a dynamic peer. */
  readonly startPeer: (config: PeerConfig) => Peer;
}

export class Acceptor {
  readonly #modules: AcceptorModules;
  readonly #listener: Listener;

  constructor(options: ListenOptions, modules: AcceptorModules) {
    this.#modules = modules;
    this.#listener = modules.transport.listener(options, (connection) => this.#incoming(connection));
  }

  /** Starts to listen. Throws CodedError BGP_LISTEN with a message for the operator. */
  async listen(): Promise<void> {
    await this.#listener.listen();
    for (const peer of this.#modules.peers) this.setKey(peer);
  }

  /** Sets the peer's key on the listener. While its settings are unusable, the previous key stays. */
  setKey(peer: Peer): void {
    const { address, password, unusable } = peer.config;
    // With two peers at one address, only the one that gets its connections sets the key.
    if (this.#modules.peers.acceptor(address) === peer && unusable === undefined)
      peer.setKeyFault(this.#listener.setKey(address, password));
  }

  /** Removes the key of a peer that was removed. The address may belong to another peer too. */
  removeKey(address: string): void {
    const left = this.#modules.peers.acceptor(address);
    if (left) this.setKey(left);
    else this.#listener.setKey(address, undefined);
  }

  async close(): Promise<void> {
    await this.#listener.close();
  }

  #incoming(connection: Incoming): void {
    try {
      this.#offer(connection);
    } catch (error) {
      connection.destroy();
      this.#modules.log.error(
        { err: error, peer: connection.address },
        'fault while accepting a BGP connection',
      );
    }
  }

  #offer(connection: Incoming): void {
    const { address } = connection;
    const peer = this.#modules.peers.acceptor(address) ?? this.#startDynamic(address);
    const message = peer?.config.shutdownMessage;
    if (!peer || this.#listener.isFresh(address)) {
      this.#modules.log.debug(
        { peer: address },
        'connection refused: unknown peer, or its key was set just now',
      );
      connection.refuse(notification(ErrorCode.CEASE, CeaseSubcode.CONNECTION_REJECTED));
    } else if (message === undefined) peer.accept(connection);
    else connection.refuse(notification(ErrorCode.CEASE, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, message));
  }

  #startDynamic(address: string): Peer | undefined {
    const config = this.#modules.dynamic.configAt(address);
    return config && this.#modules.startPeer(config);
  }
}
