/** What the speaker is told to be: whole desired state, compared by value. */
import type { Family } from '../lib/cidr.ts';
import type { Prefix } from './wire/nlri.ts';

export type PeerType = 'node-to-node mesh' | 'node specific' | 'global';

export interface PeerConfig {
  /** The peer's address, canonical text. With the port it identifies the peer. */
  readonly address: string;
  readonly port: number;
  readonly asNumber: number;
  readonly localAs: number;
  readonly localAddress: string | undefined;
  readonly families: readonly Family[];
  readonly isPassive: boolean;
  readonly peerType: PeerType;
  /** Name of the Node or BGPPeer, for people. */
  readonly name: string;
  readonly holdTimeSeconds: number;
  readonly keepaliveSeconds: number | undefined;
  readonly restartTimeSeconds: number;
  readonly allowedLocalAs: number;
}

export interface DesiredSpeaker {
  readonly peers: readonly PeerConfig[];
  /** Prefixes that this node announces as its own. */
  readonly originated: readonly Prefix[];
  /** Where learned routes may be passed on. */
  readonly transit: readonly Prefix[];
}

/** Identity of a peer: a change of anything else is a change of the same peer. */
export function keyOfPeer({ address, port }: Pick<PeerConfig, 'address' | 'port'>): string {
  return `${address}|${port}`;
}

export function isSamePeer(a: PeerConfig, b: PeerConfig): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A session as people and metrics see it. */
export interface PeerStatus {
  readonly config: PeerConfig;
  readonly state: string;
  /** Epoch milliseconds of the last change of state. */
  readonly since: number;
  /** Why the session is not up; undefined when it is, or was never tried. */
  readonly lastError: string | undefined;
  readonly identifier: string | undefined;
  readonly prefixesReceived: number;
  readonly prefixesSent: number;
  readonly flaps: number;
  readonly messagesReceived: number;
  readonly messagesSent: number;
  /** The peer is restarting and its routes are kept. */
  readonly isRestarting: boolean;
}
