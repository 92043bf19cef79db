/**
 * BMP (RFC 7854): sends a monitoring station each peer's routes as received, before policy. A station that reads too
 * slowly is disconnected and dialled again; it then gets the complete state.
 */
import net, { type Socket } from 'node:net';
import { addressBytes, familyOf, parseAddress } from '../../lib/cidr.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Clock } from '../../lib/time.ts';
import { VERSION } from '../../lib/version.ts';
import type { Observer, Peer } from '../peer/peer.ts';
import type { Ribs } from '../peer/receiver.ts';
import { attributesOf } from '../rib/attribute-values.ts';
import type { SessionEnd } from '../session/session.ts';
import { MessageType } from '../wire/iana.ts';
import { encodeMessage } from '../wire/message.ts';
import { endOfRib } from '../wire/update.ts';
import { Writer } from '../wire/writer.ts';
import { peerDown } from './peer-down.ts';

export interface BmpStation {
  readonly host: string;
  readonly port: number;
}

const VERSION_3 = 3;
const ROUTE_MONITORING = 0;
const PEER_DOWN = 2;
const PEER_UP = 3;
const INITIATION = 4;
const TERMINATION = 5;
const RETRY_MS = 5_000;
const QUEUE_LIMIT = 16 << 20;

export class BmpExporter implements Observer {
  readonly #station: BmpStation;
  readonly #log: Log;
  readonly #time: Clock;
  readonly #view: { readonly ribs: Ribs; readonly peers: () => Iterable<Peer> };
  #socket: Socket | undefined;
  #cancelRetry = () => {};
  #isConnected = false;
  /** Peers that are up, with what the header of their Peer Down has: their session is over by then. */
  readonly #up = new Map<Peer, PeerIdentity>();

  constructor(
    station: BmpStation,
    view: { readonly ribs: Ribs; readonly peers: () => Iterable<Peer> },
    { time, log }: { readonly time: Clock; readonly log: Log },
  ) {
    this.#station = station;
    this.#view = view;
    this.#time = time;
    this.#log = log.child({ station: `${station.host}:${station.port}` });
    this.#dial();
  }

  message(peer: Peer, direction: 'received' | 'sent', bytes: Uint8Array): void {
    if (direction === 'received' && bytes[18] === MessageType.UPDATE && peer.negotiated)
      this.#route(peer, bytes);
  }

  up(peer: Peer): void {
    const { runner } = peer;
    const { sent, received } = runner.opens;
    if (!sent || !received || !runner.connection) return;
    this.#up.set(peer, identityOf(peer));
    const { localAddress, localPort, remotePort } = runner.connection;
    const body = new Writer().bytes(this.#header(peer)).bytes(address16(localAddress));
    this.#send(PEER_UP, body.u16(localPort).u16(remotePort).bytes(sent).bytes(received).finish());
  }

  down(peer: Peer, end: SessionEnd): void {
    const identity = this.#up.get(peer);
    this.#up.delete(peer);
    if (!identity) return;
    this.#send(PEER_DOWN, new Writer().bytes(this.#header(peer, identity)).bytes(peerDown(end)).finish());
  }

  close(): void {
    this.#cancelRetry();
    this.#send(TERMINATION, tlv(1, Uint8Array.of(0, 0)));
    this.#socket?.end();
    this.#socket = undefined;
    this.#isConnected = false;
  }

  #dial(): void {
    const socket = net.connect(this.#station);
    this.#socket = socket;
    socket.on('connect', () => {
      this.#isConnected = true;
      this.#log.info({}, 'BMP station connected');
      try {
        this.#initiate();
      } catch (error) {
        this.#log.error({ err: error }, 'fault while sending the current state to the BMP station');
        socket.destroy();
      }
    });
    socket.on('data', () => undefined);
    socket.on('error', (error) => this.#log.debug({ reason: messageOf(error) }, 'BMP connection error'));
    socket.on('close', () => {
      this.#isConnected = false;
      if (this.#socket === socket) this.#cancelRetry = this.#time.after(RETRY_MS, () => this.#dial());
    });
  }

  /** Initiation and the current state: for each peer that is up, its routes and End-of-RIB. */
  #initiate(): void {
    const text = (value: string) => new TextEncoder().encode(value);
    this.#send(INITIATION, Uint8Array.of(...tlv(1, text(`Cali ${VERSION}`)), ...tlv(2, text('cali'))));
    for (const peer of this.#view.peers()) {
      if (!peer.negotiated) continue;
      this.up(peer);
      for (const family of peer.negotiated.families) {
        for (const bytes of this.#received(peer, family)) this.#route(peer, bytes);
        this.#route(peer, encodeMessage({ type: 'update', ...endOfRib(family) }, peer.runner.context));
      }
    }
  }

  *#received(peer: Peer, family: 4 | 6): Generator<Uint8Array> {
    const rib = this.#view.ribs[family];
    const hasPathId = peer.negotiated!.addPathReceive.includes(family);
    for (const path of rib.pathsOf(peer.source)) {
      const attributes = attributesOf(rib.attributes, rib.paths.received[path]!);
      const prefix = rib.prefixes.text(rib.paths.prefix[path]!);
      const route = hasPathId ? { prefix, pathId: rib.paths.pathId[path]! } : { prefix };
      const isClassic = family === 4 && familyOf(attributes.nextHop) === 4;
      const update = {
        type: 'update' as const,
        withdrawn: [],
        nlri: isClassic ? [route] : [],
        reach: isClassic ? undefined : { family, nextHop: attributes.nextHop, routes: [route] },
        unreach: undefined,
        attributes,
      };
      const { isFourOctetAs, isIbgp } = peer.negotiated!;
      try {
        yield encodeMessage(update, { isFourOctetAs, isIbgp });
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        // The re-encoded route can be longer than the received one: one route per message, and AS4_PATH merged in.
        this.#log.warn({ prefix, reason: error.message }, 'route not sent to the BMP station');
      }
    }
  }

  #route(peer: Peer, update: Uint8Array): void {
    this.#send(ROUTE_MONITORING, new Writer().bytes(this.#header(peer)).bytes(update).finish());
  }

  #header(peer: Peer, identity = identityOf(peer)): Uint8Array {
    return peerHeader(peer, identity, this.#time.now());
  }

  #send(type: number, body: Uint8Array): void {
    if (!this.#isConnected || !this.#socket) return;
    if (this.#socket.writableLength > QUEUE_LIMIT) {
      this.#log.warn({}, 'BMP station reads too slowly: reconnecting');
      this.#socket.destroy();
      return;
    }
    this.#socket.write(
      new Writer()
        .u8(VERSION_3)
        .u32(body.length + 6)
        .u8(type)
        .bytes(body)
        .finish(),
    );
  }
}

/** What the header of a peer has from its session. */
interface PeerIdentity {
  /** BGP identifier, dotted quad. */
  readonly identifier: string;
  /** Whether AS numbers on the session have two octets. */
  readonly isTwoOctet: boolean;
}

function identityOf({ negotiated }: Peer): PeerIdentity {
  return {
    identifier: negotiated?.peerIdentifier ?? '0.0.0.0',
    isTwoOctet: negotiated?.isFourOctetAs === false,
  };
}

/**
 * Section 4.2.
 *   +- type (8) -+- V L A, flags (8) -+- distinguisher (64) -+- address (128) -+- AS (32) -+- ID (32) -+- time (64) -+
 */
function peerHeader(peer: Peer, { identifier, isTwoOctet }: PeerIdentity, ms: number): Uint8Array {
  const { address, asNumber } = peer.config;
  const isV6 = familyOf(address) === 6;
  const writer = new Writer().u8(0).u8((isV6 ? 0x80 : 0) | (isTwoOctet ? 0x20 : 0));
  writer.u32(0).u32(0).bytes(address16(address)).u32(asNumber);
  writer.bytes(addressBytes(parseAddress(identifier)!));
  return writer
    .u32(Math.floor(ms / 1000))
    .u32((ms % 1000) * 1000)
    .finish();
}

/** An address in 16 octets, IPv4 in the last four (section 4.2). */
function address16(text: string): Uint8Array {
  const bytes = addressBytes(parseAddress(text.replace(/%.*$/, ''))!);
  const wide = new Uint8Array(16);
  wide.set(bytes, 16 - bytes.length);
  return wide;
}

function tlv(type: number, value: Uint8Array): Uint8Array {
  return new Writer().u16(type).u16(value.length).bytes(value).finish();
}
