/** Routes from a peer: UPDATEs into the RIB, malformed ones, the prefix limit, and stale routes. */

import type { Family } from '../../lib/cidr.ts';
import type { Log } from '../../lib/log.ts';
import { LogLimiter } from '../../lib/log-limiter.ts';
import type { Clock } from '../../lib/time.ts';
import type { Negotiated } from '../session/session.ts';
import type { Fault } from '../wire/attributes.ts';
import { CeaseSubcode, ErrorCode, RefreshSubtype } from '../wire/iana.ts';
import type { OutgoingMessage } from '../wire/message.ts';
import { notification } from '../wire/notification.ts';
import { endOfRibFamily } from '../wire/update.ts';
import { type NotificationBody, WireError } from '../wire/wire-error.ts';
import type { PeerConfig, PeerStatus } from './config.ts';
import { PrefixLimiter } from './prefix-limit.ts';
import { type ReceiverContext, type Ribs, UpdateReceiver } from './receiver.ts';
import { StaleRoutes } from './stale-routes.ts';

export interface InboundModules {
  readonly ribs: Ribs;
  /** A throwing callback of `after` is a fault of the peer. */
  readonly clock: Clock;
  readonly log: Log;
  readonly config: () => PeerConfig;
  readonly context: (negotiated: Negotiated) => ReceiverContext;
  readonly negotiated: () => Negotiated | undefined;
  readonly counters: { updatesReceived: number };
  readonly send: (message: OutgoingMessage) => void;
  /** Makes a NOTIFICATION end the session without graceful restart. */
  readonly hard: (body: NotificationBody) => NotificationBody;
  readonly ribChanged: () => void;
  /** No routes are retained any more. */
  readonly released: () => void;
  /** The peer finished its initial update. */
  readonly settled: () => void;
}

export class Inbound {
  readonly #source: number;
  readonly #modules: InboundModules;
  readonly #warnings: LogLimiter;
  readonly #stale: StaleRoutes;
  readonly #limiter: PrefixLimiter;
  readonly #awaitedEndOfRib = new Set<Family>();
  #receiver: UpdateReceiver | undefined;
  /** Whether the peer has a prefix limit, by the settings that the receiver uses. */
  #hasLimit = false;
  #malformed: PeerStatus['malformed'];

  /** `source`: row of the peer in the source table. */
  constructor(source: number, modules: InboundModules) {
    const { ribs, clock, log } = modules;
    this.#source = source;
    this.#modules = modules;
    this.#warnings = new LogLimiter(clock, log);
    this.#stale = new StaleRoutes(source, ribs, {
      clock,
      log,
      changed: () => {
        modules.ribChanged();
        this.#limiter.fetchLater();
        if (!this.#stale.isKeeping) modules.released();
      },
    });
    this.#limiter = new PrefixLimiter({
      clock,
      log,
      config: modules.config,
      count: (family) => ribs[family].countOf(source),
      requestRefresh: (family) => this.#requestRefresh(family),
    });
  }

  /** Whether routes of an earlier session are retained. */
  get isKeeping(): boolean {
    return this.#stale.isKeeping;
  }

  /** Whether the peer restarted and has not finished its initial update. */
  get awaitsEndOfRib(): boolean {
    return this.#awaitedEndOfRib.size > 0;
  }

  get malformed(): PeerStatus['malformed'] {
    return this.#malformed;
  }

  get warning(): string | undefined {
    return this.#limiter.warning;
  }

  sessionUp(negotiated: Negotiated): void {
    this.#renew(negotiated);
    this.#stale.sessionUp(negotiated);
    this.#awaitedEndOfRib.clear();
    if (negotiated.peerRestart) for (const family of negotiated.families) this.#awaitedEndOfRib.add(family);
  }

  /** Removes the routes, or retains them after a session that ended gracefully. */
  sessionDown(isGraceful: boolean): void {
    this.#limiter.reset();
    this.#receiver = undefined;
    this.#stale.sessionDown(isGraceful);
    this.#modules.ribChanged();
  }

  /** Applies changed settings to the routes that were received in this session. */
  reconfigured(negotiated: Negotiated): void {
    const receiver = this.#renew(negotiated);
    for (const family of negotiated.families) {
      const rib = this.#modules.ribs[family];
      rib.rejudge(this.#source, (path) => receiver.judge(rib, path));
      this.#stale.restoreMarks(family);
      rib.touchAll(this.#source);
    }
  }

  limitChanged(): void {
    this.#limiter.reconfigured();
  }

  /** Receives the body of an UPDATE. Throws WireError to reset the session. */
  deliver(body: Uint8Array): void {
    this.#modules.counters.updatesReceived++;
    const ended = endOfRibFamily(body);
    if (ended) {
      this.#endOfRib(ended);
      return;
    }
    const { faults, dropped } = this.#receiver!.receive(body);
    if (faults.length > 0) this.#noteMalformed(faults);
    if (this.#hasLimit) this.#checkLimit(dropped);
    this.#modules.ribChanged();
  }

  /** The peer begins to send all routes of a family again (BoRR, RFC 7313). */
  refreshBegins(family: Family): void {
    this.#stale.refreshBegins(family);
  }

  /** The peer has sent all routes of a family again (EoRR, RFC 7313). */
  refreshEnds(family: Family): void {
    this.#stale.refreshEnds(family);
  }

  /** Whether the peer is about to be removed. If its session ends first, its routes stay until `dropAll`. */
  setRetiring(isRetiring: boolean): void {
    this.#stale.setRetiring(isRetiring);
  }

  /** Removes all routes of the peer. */
  dropAll(): void {
    this.#stale.dropAll();
  }

  /** Stops the timers of retained routes. */
  cancel(): void {
    this.#stale.cancel();
  }

  #renew(negotiated: Negotiated): UpdateReceiver {
    this.#hasLimit = this.#modules.config().prefixLimit !== undefined;
    this.#receiver = new UpdateReceiver(this.#modules.ribs, this.#modules.context(negotiated));
    return this.#receiver;
  }

  #endOfRib(family: Family): void {
    this.#stale.endOfRib(family);
    if (!this.#awaitedEndOfRib.delete(family) || this.#awaitedEndOfRib.size > 0) return;
    this.#modules.settled();
  }

  /** Counts a malformed UPDATE and logs its first fault of each verdict: an invalid attribute also counts as missing. */
  #noteMalformed(faults: readonly Fault[]): void {
    this.#malformed = { count: (this.#malformed?.count ?? 0) + 1, lastReason: faults[0]!.reason };
    for (const kind of ['withdraw', 'discard'] as const) {
      const fault = faults.find(({ verdict }) => verdict === kind);
      if (fault) this.#warnings.warn(kind, { reason: fault.reason, verdict: kind }, 'malformed UPDATE');
    }
  }

  #checkLimit(dropped: readonly Family[]): void {
    const reason = this.#limiter.check(dropped);
    if (reason === undefined) return;
    // Not graceful, because retained routes would exceed the limit.
    const { code, subcode, data } = this.#modules.hard(
      notification(ErrorCode.CEASE, CeaseSubcode.MAX_PREFIXES),
    );
    throw new WireError(code, subcode, reason, data);
  }

  /** Requests all routes of a family again (RFC 2918). False when the peer does not support it. */
  #requestRefresh(family: Family): boolean {
    if (!this.#modules.negotiated()?.hasRouteRefresh) return false;
    this.#modules.send({ type: 'route-refresh', family, subtype: RefreshSubtype.REQUEST });
    return true;
  }
}
