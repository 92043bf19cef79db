/** A session of a peer, for one address family. */
export interface Member {
  /** Row of the peer in the source table. It is not sent its own routes. */
  readonly source: number;
  /** Queues bytes, which several members may share. The caller does not change them afterwards. */
  send(bytes: Uint8Array): void;
  /** Octets queued for the peer. */
  readonly queued: number;
  /** A sync begins or ends: time for the markers of RFC 7313 and RFC 4724. */
  syncBegins(purpose: SyncPurpose): void;
  syncEnds(purpose: SyncPurpose): void;
  counted(messages: number): void;
}

export type SyncPurpose = 'initial' | 'refresh' | 'catch up';
