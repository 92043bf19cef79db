/** Values of the finite state machine (RFC 4271 section 8): states, events, timers, actions. */
import type { Family } from '../../lib/cidr.ts';
import type { GracefulRestart, LongLivedFamily } from '../wire/capabilities.ts';
import type { NotificationMessage } from '../wire/notification.ts';
import type { OpenMessage } from '../wire/open.ts';
import type { NotificationBody } from '../wire/wire-error.ts';

export type State = 'Idle' | 'Connect' | 'Active' | 'OpenSent' | 'OpenConfirm' | 'Established';

/** `settle` expires when a session has been Established for a while. */
export type Timer = 'connectRetry' | 'hold' | 'keepalive' | 'idleHold' | 'settle';

/** Settings of a peer's sessions. */
export interface SessionSettings {
  /** AS number of this side of the session. */
  readonly localAs: number;
  /** AS number of the peer. */
  readonly asNumber: number;
  /** Proposed hold time, seconds; 0 for none. */
  readonly holdTimeSeconds: number;
  /** Interval of KEEPALIVEs, seconds; a third of the negotiated hold time when undefined. */
  readonly keepaliveSeconds?: number | undefined;
  /** Whether to accept connections only, and never connect. */
  readonly isPassive: boolean;
  readonly families: readonly Family[];
  /** Time that the peer should retain our routes while we restart, seconds (RFC 4724). */
  readonly restartTimeSeconds: number;
  /** Maximum delay between two attempts, seconds; 5 when undefined. */
  readonly connectRetrySeconds?: number | undefined;
  /** Multiple paths per prefix (RFC 7911). */
  readonly canSendAddPath?: boolean | undefined;
  readonly canReceiveAddPath?: boolean | undefined;
  /** IPv4 routes with an IPv6 next hop (RFC 8950). */
  readonly hasExtendedNextHop?: boolean | undefined;
  /** Time to retain routes of a peer as least preferred after its restart time, seconds (RFC 9494); 0: not offered. */
  readonly longLivedSeconds?: number | undefined;
  /** Our role towards the peer, a value of BgpRole (RFC 9234). */
  readonly role?: number | undefined;
  /** Whether the peer must send its role (strict mode). */
  readonly isRoleStrict?: boolean | undefined;
}

/** What the state machine reads: the settings, and this speaker's identity. */
export interface SessionConfig extends SessionSettings {
  /** BGP identifier, dotted quad. */
  readonly identifier: string;
}

/** The result of both OPENs. */
export interface Negotiated {
  readonly peerAs: number;
  readonly peerIdentifier: string;
  readonly isIbgp: boolean;
  readonly holdTimeSeconds: number;
  readonly keepaliveSeconds: number;
  readonly families: readonly Family[];
  readonly isFourOctetAs: boolean;
  readonly hasRouteRefresh: boolean;
  readonly hasExtendedMessages: boolean;
  readonly hasEnhancedRefresh: boolean;
  /** Families whose prefixes have a path identifier, by direction (RFC 7911). */
  readonly addPathSend: readonly Family[];
  readonly addPathReceive: readonly Family[];
  /** Whether IPv4 routes may have an IPv6 next hop (RFC 8950). */
  readonly hasExtendedNextHop: boolean;
  readonly peerRestart: GracefulRestart | undefined;
  /** Whether graceful restart also applies after NOTIFICATION and hold timer expiry (RFC 8538). */
  readonly hasNotificationRestart: boolean;
  /** The peer's long-lived families (RFC 9494), even if this side does not offer any. */
  readonly peerLongLived: readonly LongLivedFamily[];
  /** Whether this side offers RFC 9494 too, so that the peer's routes are retained for the long-lived time. */
  readonly hasLongLived: boolean;
}

export interface Session {
  readonly state: State;
  readonly negotiated: Negotiated | undefined;
  /** Failures since the session was last Established, for the retry delay. */
  readonly failures: number;
  /** Number of sessions in a row that have not lasted for a while, the current one included. */
  readonly shortLived: number;
}

/** Events, with their numbers in RFC 4271 section 8.1. */
export type Event =
  | { readonly type: 'start' } // 1, 3
  | { readonly type: 'stop'; readonly notification: NotificationBody } // 2, 8
  | { readonly type: 'timer'; readonly timer: Timer } // 9, 10, 11, 13
  | { readonly type: 'connected' } // 16, 17
  | { readonly type: 'disconnected'; readonly reason: string } // 18
  | { readonly type: 'open'; readonly message: OpenMessage } // 19
  | { readonly type: 'error'; readonly notification: NotificationBody; readonly reason: string } // 21, 22, 28
  | { readonly type: 'collision' } // 23
  | { readonly type: 'replaced' } // RFC 4724 section 4.2: the restarted peer connects again
  | { readonly type: 'notification'; readonly message: NotificationMessage } // 24, 25
  | { readonly type: 'keepalive' } // 26
  | { readonly type: 'update' } // 27
  | { readonly type: 'refresh' };

export type Action =
  | { readonly type: 'connect' }
  | { readonly type: 'disconnect' }
  | { readonly type: 'sendOpen' }
  | { readonly type: 'sendKeepalive' }
  | { readonly type: 'sendNotification'; readonly notification: NotificationBody }
  | { readonly type: 'startTimer'; readonly timer: Timer; readonly seconds: number }
  | { readonly type: 'stopTimer'; readonly timer: Timer }
  | { readonly type: 'established'; readonly negotiated: Negotiated }
  /** The session left Established. `isGraceful`: the peer may be restarting (RFC 4724). */
  | { readonly type: 'down'; readonly isGraceful: boolean; readonly end: SessionEnd };

/** Who ended a session and how, as BMP distinguishes it (RFC 7854 section 4.9). */
export type SessionEnd =
  | { readonly how: 'notified'; readonly notification: NotificationBody }
  /** Closed by this side without NOTIFICATION, on an event of RFC 4271 section 8.1. */
  | { readonly how: 'closed'; readonly fsmEvent: number }
  | { readonly how: 'notification received'; readonly notification: NotificationBody }
  /** The peer closed the connection, or the connection failed. */
  | { readonly how: 'lost' };

/** The result of an event. `reason` is why a session went down, as text. */
export interface Step {
  readonly next: Session;
  readonly actions: readonly Action[];
  readonly reason?: string;
}

export const idleSession: Session = { state: 'Idle', negotiated: undefined, failures: 0, shortLived: 0 };
