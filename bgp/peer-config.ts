/** What the speaker is told to be: whole desired state, compared by value. */
import type { Family } from '../lib/cidr.ts';
import type { ExportPolicy } from './policy/export.ts';
import type { ImportPolicy, PrefixPolicy } from './policy/import.ts';
import type { RejectionKind } from './policy/rejection.ts';
import type { Prefix } from './wire/nlri.ts';

export type PeerType = 'node-to-node mesh' | 'node specific' | 'global' | 'dynamic' | 'local workload';

/** Too many prefixes: whether the session ends, or what is above the limit is not stored. */
export interface PrefixLimit {
  readonly limit: number;
  readonly action: 'Warn' | 'Drop' | 'Restart';
  /** Share of the limit from which on a warning is due. */
  readonly warningPercent: number;
}

/** RFC 5880: a neighbour that is silent for `interval` times `multiplier` is down. */
export interface BfdConfig {
  readonly receiveIntervalMs: number;
  readonly transmitIntervalMs: number;
  readonly multiplier: number;
  /** RFC 5883 instead of RFC 5881. */
  readonly isMultihop: boolean;
}

export interface PeerConfig {
  /** The peer's address, canonical text, with `%interface` behind a link-local one. With the port it is the peer. */
  readonly address: string;
  readonly port: number;
  readonly asNumber: number;
  /** AS number of this side of the session. */
  readonly localAs: number;
  /** AS number of this speaker, where `localAs` is another one; a path with either of them is a loop. */
  readonly globalAs?: number | undefined;
  readonly localAddress: string | undefined;
  readonly families: readonly Family[];
  readonly isPassive: boolean;
  /** The other side never connects: what comes from its address is another speaker there. */
  readonly isDialOnly?: boolean | undefined;
  readonly peerType: PeerType;
  /** Name of the Node or BGPPeer, for people. */
  readonly name: string;
  readonly holdTimeSeconds: number;
  readonly keepaliveSeconds?: number | undefined;
  readonly connectRetrySeconds?: number | undefined;
  readonly restartTimeSeconds: number;
  /** RFC 9494; 0 or undefined: not used. */
  readonly longLivedSeconds?: number | undefined;
  readonly allowedLocalAs: number;
  readonly password?: string | undefined;
  readonly ttlSecurityHops?: number | undefined;
  /** Why no connection may be made or accepted now: a password that is not known yet, or that TCP MD5 cannot carry. */
  readonly unusable?: string | undefined;
  /** What an operator should know although connections are made. */
  readonly warning?: string | undefined;
  readonly nextHopMode?: 'Auto' | 'Self' | 'Keep' | undefined;
  /** A client of this route reflector. */
  readonly isClient?: boolean | undefined;
  /** Dotted quad; undefined when this speaker does not reflect. */
  readonly clusterId?: string | undefined;
  readonly canSendAddPath?: boolean | undefined;
  readonly canReceiveAddPath?: boolean | undefined;
  readonly hasExtendedNextHop?: boolean | undefined;
  /** A value of BgpRole (RFC 9234). */
  readonly role?: number | undefined;
  readonly isRoleStrict?: boolean | undefined;
  /** RFC 8212: nothing passes to or from an external peer without a policy. */
  readonly requiresPolicy?: boolean | undefined;
  /** LOCAL_PREF for routes that carry none; 100 when undefined. */
  readonly localPref?: number | undefined;
  readonly importPolicy?: ImportPolicy | undefined;
  /** What may be used by its prefix, where routes go into the kernel. */
  readonly prefixPolicy?: PrefixPolicy | undefined;
  readonly exportPolicy?: ExportPolicy | undefined;
  readonly prefixLimit?: PrefixLimit | undefined;
  readonly bfd?: BfdConfig | undefined;
  /** The session is kept down, and the peer told so in these words (RFC 9003); undefined: it shall be up. */
  readonly shutdownMessage?: string | undefined;
}

/** Peers that are not known one by one: whoever comes from these addresses (for reflectors). */
export interface DynamicPeers {
  readonly prefix: Prefix;
  /** Address and port are those of the connection. */
  readonly template: PeerConfig;
}

export interface Originated {
  readonly prefix: Prefix;
  /** LOCAL_PREF to announce it with; that of the peer when undefined. */
  readonly localPref?: number | undefined;
}

export interface DesiredSpeaker {
  readonly peers: readonly PeerConfig[];
  readonly dynamic?: readonly DynamicPeers[];
  /** Prefixes that this node announces as its own. */
  readonly originated: readonly Originated[];
}

/** Identity of a peer: a change of anything else is a change of the same peer. */
export function keyOfPeer({ address, port }: Pick<PeerConfig, 'address' | 'port'>): string {
  return `${address}|${port}`;
}

export function isSamePeer(a: PeerConfig, b: PeerConfig): boolean {
  return configKey(a) === configKey(b);
}

function configKey({ importPolicy, prefixPolicy, exportPolicy, ...rest }: PeerConfig): string {
  return JSON.stringify([rest, importPolicy?.key, prefixPolicy?.key, exportPolicy?.key]);
}

/** A session as people and metrics see it. */
export interface PeerStatus {
  readonly config: Omit<PeerConfig, 'password' | 'importPolicy' | 'prefixPolicy' | 'exportPolicy'>;
  readonly state: string;
  /** Epoch milliseconds of the last change of state. */
  readonly since: number;
  /** Why the session is not up; undefined when it is, or was never tried. */
  readonly lastError: string | undefined;
  /** It is configured no longer, and stays until other peers announce its routes. */
  readonly isRetiring?: boolean;
  /** What is wrong although the session may be up. */
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
  /** Names of what both sides can do, RFC by RFC. */
  readonly capabilities: readonly string[];
  readonly holdTimeSeconds: number | undefined;
  readonly keepaliveSeconds: number | undefined;
  readonly queuedOctets: number;
  /** The peer is restarting and its routes are kept. */
  readonly isRestarting: boolean;
  readonly bfd: string | undefined;
  /** UPDATEs in which something was wrong that cost an attribute or the routes (RFC 7606); undefined for none. */
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
  /** Routes that the peer is not told because their attributes fit into no message to it. */
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
