/** ROUTE-REFRESH from a peer (RFC 2918, RFC 7313). */
import type { Log } from '../../lib/log.ts';
import { RefreshSubtype } from '../wire/iana.ts';
import type { RouteRefreshMessage } from '../wire/message.ts';
import type { Advertiser } from './advertiser.ts';
import type { Inbound } from './inbound.ts';

export interface RefreshModules {
  readonly advertiser: Pick<Advertiser, 'refresh' | 'members'>;
  readonly inbound: Pick<Inbound, 'refreshBegins' | 'refreshEnds'>;
  readonly log: Log;
}

/** `hasEnhancedRefresh`: whether BoRR and EoRR were negotiated (RFC 7313). */
export function handleRefresh(
  { family, subtype }: RouteRefreshMessage,
  hasEnhancedRefresh: boolean,
  { advertiser, inbound, log }: RefreshModules,
): void {
  if (!family || !advertiser.members.has(family)) return;
  // RFC 2918: without the capability of RFC 7313 the octet is reserved, and ignored.
  switch (hasEnhancedRefresh ? subtype : RefreshSubtype.REQUEST) {
    case RefreshSubtype.REQUEST:
      advertiser.refresh(family);
      break;
    case RefreshSubtype.BEGIN:
      inbound.refreshBegins(family);
      break;
    case RefreshSubtype.END:
      inbound.refreshEnds(family);
      break;
    default:
      // RFC 7313 section 5: ignored.
      log.debug({ subtype }, 'ROUTE-REFRESH with an unknown subtype');
  }
}
