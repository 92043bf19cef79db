/** What a peer is given when it is created. `P` is the peer. */
import type { Log } from '../../lib/log.ts';
import type { Time } from '../../lib/time.ts';
import type { UpdateGroups } from '../group/update-groups.ts';
import type { SourceTable } from '../rib/source.ts';
import type { SessionEnd } from '../session/session.ts';
import type { Transport } from '../transport/port.ts';
import type { PendingLimit } from './pending-limit.ts';
import type { Ribs } from './receiver.ts';

/** Observer of all peers: wire log, BMP, MRT. */
export interface ObserverOf<P> {
  message(peer: P, direction: 'received' | 'sent', message: Uint8Array): void;
  up(peer: P): void;
  down(peer: P, end: SessionEnd): void;
}

export interface PeerModules<P> {
  readonly ribs: Ribs;
  readonly sources: SourceTable;
  readonly groups: UpdateGroups;
  readonly clock: Time;
  readonly transport: Transport;
  readonly log: Log;
  readonly observer: ObserverOf<P>;
  /** Incoming connections of all peers that are not sessions yet. */
  readonly pending: PendingLimit;
  /** The RIB changed: decide and distribute. */
  readonly ribChanged: () => void;
  /** The peer finished its initial update, or will not send one. Stop waiting for it. */
  readonly settled: (peer: P) => void;
  /** The session came up. */
  readonly up: (peer: P) => void;
  /** The session left Established, a connection ended, or no routes are retained any more. */
  readonly ended: (peer: P) => void;
  /** The initial update was sent. End-of-RIB may wait for peers whose routes must precede it. */
  readonly endOfRibDue: (peer: P) => void;
}
