/** The complete desired state of the speaker, compared by value. */
import type { Family } from '../../lib/cidr.ts';
import type { ExportPolicy } from '../policy/export.ts';
import type { ImportPolicy, PrefixPolicy } from '../policy/import.ts';
import type { RejectionKind } from '../policy/rejection.ts';
import type { SessionSettings } from '../session/session.ts';
import type { Remote, SecurityOptions } from '../transport/port.ts';
import type { Prefix } from '../wire/nlri.ts';

export type PeerType = 'node-to-node mesh' | 'node specific' | 'global' | 'dynamic' | 'local workload';

/** The limit on prefixes, and the action above it: warn, do not store more, or end the session. */
export interface PrefixLimit {
  readonly limit: number;
  readonly action: 'Warn' | 'Drop' | 'Restart';
  /** Percentage of the limit at which to warn. */
  readonly warningPercent: number;
}

/** RFC 5880: a neighbour is down after `multiplier` intervals without a packet. */
export interface BfdConfig {
  readonly receiveIntervalMs: number;
  readonly transmitIntervalMs: number;
  readonly multiplier: number;
  /** Multihop (RFC 5883) instead of single hop (RFC 5881). */
  readonly isMultihop: boolean;
}

/** All settings of a peer. A setting that the state machine reads is a field of SessionSettings. */
export interface PeerConfig
  extends SessionSettings,
    Omit<Remote, keyof SecurityOptions>,
    Partial<SecurityOptions> {
  /** AS number of this speaker, when `localAs` differs. A path with either of them is a loop. */
  readonly globalAs?: number | undefined;
  /** The other side never connects: a connection from its address belongs to another speaker there. */
  readonly isDialOnly?: boolean | undefined;
  readonly peerType: PeerType;
  /** Name of the Node or BGPPeer, for status and logs. */
  readonly name: string;
  readonly allowedLocalAs: number;
  /** Why no connection is possible now: the password is not known yet, or TCP MD5 cannot carry it. */
  readonly unusable?: string | undefined;
  /** Warning for the operator. Connections are still made. */
  readonly warning?: string | undefined;
  readonly nextHopMode?: 'Auto' | 'Self' | 'Keep' | undefined;
  /** Whether the peer is a client of this route reflector. */
  readonly isClient?: boolean | undefined;
  /** Dotted quad; undefined when this speaker does not reflect. */
  readonly clusterId?: string | undefined;
  /** RFC 8212: without a policy, no route passes to or from an external peer. */
  readonly requiresPolicy?: boolean | undefined;
  /** LOCAL_PREF for routes without one; 100 when undefined. */
  readonly localPref?: number | undefined;
  readonly importPolicy?: ImportPolicy | undefined;
  /** Import policy by prefix, for a speaker whose routes go into the kernel. */
  readonly prefixPolicy?: PrefixPolicy | undefined;
  readonly exportPolicy?: ExportPolicy | undefined;
  readonly prefixLimit?: PrefixLimit | undefined;
  readonly bfd?: BfdConfig | undefined;
  /** Keeps the session down, and sends this message to the peer (RFC 9003); undefined: the session may be up. */
  readonly shutdownMessage?: string | undefined;
}

/** Dynamic peers: accept sessions from this prefix (for reflectors). */
export interface DynamicPeers {
  readonly prefix: Prefix;
  /** Settings of each such peer, except the address, which is that of the connection. */
  readonly template: PeerConfig;
}

export interface Originated {
  readonly prefix: Prefix;
  /** LOCAL_PREF to announce; that of the peer when undefined. */
  readonly localPref?: number | undefined;
}

export interface DesiredSpeaker {
  readonly peers: readonly PeerConfig[];
  readonly dynamic?: readonly DynamicPeers[];
  /** Prefixes that this node originates. */
  readonly originated: readonly Originated[];
}

/** Identity of a peer. With other settings changed, it is still the same peer. */
export function keyOfPeer({ address, port }: Pick<PeerConfig, 'address' | 'port'>): string {
  return `${address}|${port}`;
}

export function isSamePeer(a: PeerConfig, b: PeerConfig): boolean {
  return configKey(a) === configKey(b);
}

/** Key of all settings that an attempt to connect can use. The others apply to a running attempt as well. */
export function attemptKey({
  importPolicy,
  prefixPolicy,
  exportPolicy,
  warning,
  ...rest
}: PeerConfig): string {
  return JSON.stringify(rest);
}

function configKey({ importPolicy, prefixPolicy, exportPolicy, ...rest }: PeerConfig): string {
  return JSON.stringify([rest, importPolicy?.key, prefixPolicy?.key, exportPolicy?.key]);
}

/** Status of a peer, for calictl and metrics. */
export interface PeerStatus {
  readonly config: Omit<PeerConfig, 'password' | 'importPolicy' | 'prefixPolicy' | 'exportPolicy'>;
  readonly state: string;
  /** Time of the last state change, epoch milliseconds. */
  readonly since: number;
  /** Why the session is not up; undefined when it is, or before the first attempt. */
  readonly lastError: string | undefined;
  /** Whether the peer is no longer configured, and stays until other peers announce its routes. */
  readonly isRetiring?: boolean;
  /** A problem with which the session may still be up. */
  readonly warning?: string | undefined;
  readonly lastNotification: string | undefined;
  readonly identifier: string | undefined;
  readonly localAddress: string | undefined;
  readonly families: readonly FamilyStatus[];
  readonly prefixesReceived: number;
  readonly prefixesSent: number;
  readonly flaps: number;
  readonly messagesReceived: number;
  readonly messagesSent: number;
  readonly updatesReceived: number;
  readonly updatesSent: number;
  /** Names of the negotiated capabilities. */
  readonly capabilities: readonly string[];
  readonly holdTimeSeconds: number | undefined;
  readonly keepaliveSeconds: number | undefined;
  readonly queuedOctets: number;
  /** Whether the peer is restarting and its routes are retained. */
  readonly isRestarting: boolean;
  readonly bfd: string | undefined;
  /** UPDATEs with a fault that discarded an attribute or withdrew the routes (RFC 7606); undefined for none. */
  readonly malformed: { readonly count: number; readonly lastReason: string } | undefined;
}

export interface FamilyStatus {
  readonly family: Family;
  readonly received: number;
  readonly accepted: number;
  readonly best: number;
  readonly advertised: number;
  /** Paths that are not used, by reason, most frequent first. */
  readonly refused: readonly RefusedPaths[];
  /** Routes that are not advertised to the peer because their attributes do not fit into a message. */
  readonly tooLong: Examples;
}

export interface Examples {
  readonly count: number;
  /** Some of the prefixes. */
  readonly examples: readonly Prefix[];
}

export interface RefusedPaths extends Examples {
  readonly kind: RejectionKind;
  readonly reason: string;
}
