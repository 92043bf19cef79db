/** Stale routes by family and phase, on a manual clock. system/stale-routes.test.ts checks them on the wire. */
import { expect, it } from 'vitest';
import { StaleRoutes } from '../../../../bgp/peer/stale-routes.ts';
import type { Negotiated } from '../../../../bgp/session/session.ts';
import type { Family } from '../../../../lib/cidr.ts';
import { silentLog } from '../../../../lib/log.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';
import { TestRib } from '../../../helpers/rib.ts';

const RESTART_SECONDS = 30;
const families: readonly Family[] = [4, 6];
const kept = (list: readonly Family[]) => list.map((family) => ({ family, isForwardingKept: true }));

const negotiated = (restarting: readonly Family[], longLived: readonly Family[] = []): Negotiated => ({
  peerAs: 64512,
  peerIdentifier: '10.0.0.1',
  isIbgp: true,
  holdTimeSeconds: 90,
  keepaliveSeconds: 30,
  families,
  isFourOctetAs: true,
  hasRouteRefresh: true,
  hasExtendedMessages: false,
  hasEnhancedRefresh: true,
  addPathSend: [],
  addPathReceive: [],
  hasExtendedNextHop: false,
  peerRestart: {
    isRestarting: false,
    hasNotification: false,
    restartTimeSeconds: RESTART_SECONDS,
    families: kept(restarting),
  },
  hasNotificationRestart: false,
  peerLongLived: kept(longLived).map((one) => ({ ...one, staleSeconds: 600 })),
  hasLongLived: true,
});

function begin() {
  const [clock, rib] = [new ManualClock(), new TestRib()];
  const source = rib.source('10.0.0.1');
  rib.announce(source, '10.1.0.0/16');
  rib.announce(source, 'fd01::/16');
  const stale = new StaleRoutes(source, rib.ribs, { clock, log: silentLog, changed() {} });
  const left = () => families.filter((family) => rib.ribs[family].countOf(source) > 0);
  return { clock, stale, left };
}

it('RFC 9494 section 4.2: a family without graceful restart enters its long-lived stale time at once', () => {
  const { clock, stale, left } = begin();
  stale.sessionUp(negotiated([4], [6]));
  stale.sessionDown(true);
  clock.advance(RESTART_SECONDS * 1000);
  expect(left()).toEqual([6]);
  clock.advance((600 - RESTART_SECONDS) * 1000);
  expect([left(), stale.isKeeping]).toEqual([[], false]);
});

it('RFC 4724 section 4.2: a family missing from the new OPEN is deleted; the other waits for End-of-RIB', () => {
  const { clock, stale, left } = begin();
  stale.sessionUp(negotiated([4, 6]));
  stale.sessionDown(true);
  stale.sessionUp(negotiated([4]));
  expect(left()).toEqual([4]);
  clock.advance(359_000);
  expect(left()).toEqual([4]);
  clock.advance(1000);
  expect(left()).toEqual([]);
});

it('routes of a peer about to be removed get its restart time once it is configured again', () => {
  const { clock, stale, left } = begin();
  stale.sessionUp(negotiated([4, 6]));
  stale.setRetiring(true);
  stale.sessionDown(false);
  clock.advance(600_000);
  expect(left()).toEqual([4, 6]);
  stale.setRetiring(false);
  clock.advance(RESTART_SECONDS * 1000);
  expect(left()).toEqual([]);
});

it('the refresh time of one family does not apply to the other', () => {
  const { clock, stale, left } = begin();
  stale.sessionUp(negotiated([4, 6]));
  for (const family of families) stale.endOfRib(family);
  stale.refreshBegins(4);
  clock.advance(200_000);
  stale.refreshBegins(6);
  clock.advance(160_000);
  expect(left()).toEqual([6]);
});
