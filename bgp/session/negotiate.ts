/** Negotiates a session from the peer's OPEN (RFC 4271 sections 4.2 and 6.2, RFC 5492). */
import type { Family } from '../../lib/cidr.ts';
import type { Capabilities } from '../wire/capabilities.ts';
import { BgpRole, ErrorCode, OpenSubcode } from '../wire/iana.ts';
import type { OpenMessage } from '../wire/open.ts';
import { WireError } from '../wire/wire-error.ts';
import { Writer } from '../wire/writer.ts';
import type { Negotiated, SessionConfig } from './session.ts';

/** Returns the negotiated values. Throws WireError when the OPEN is not acceptable. */
export function negotiate(open: OpenMessage, config: SessionConfig): Negotiated {
  if (open.asNumber !== config.asNumber) {
    throw new WireError(
      ErrorCode.OPEN_MESSAGE,
      OpenSubcode.BAD_PEER_AS,
      `the peer sends AS ${open.asNumber}, but AS ${config.asNumber} is configured`,
    );
  }
  const isIbgp = config.localAs === config.asNumber;
  if (isIbgp && open.identifier === config.identifier) {
    throw new WireError(
      ErrorCode.OPEN_MESSAGE,
      OpenSubcode.BAD_BGP_IDENTIFIER,
      `the peer has our own BGP identifier ${config.identifier}: change the router ID of one of the two`,
    );
  }
  const theirs = open.capabilities;
  checkRoles(theirs.roles, config);
  const offered = offeredFamilies(theirs);
  const families = config.families.filter((family) => offered.includes(family));
  if (families.length === 0) {
    const missing = new Writer();
    for (const family of config.families)
      missing
        .u8(1)
        .u8(4)
        .u16(family === 4 ? 1 : 2)
        .u8(0)
        .u8(1);
    throw new WireError(
      ErrorCode.OPEN_MESSAGE,
      OpenSubcode.UNSUPPORTED_CAPABILITY,
      `no common address family: the peer offers ${describeFamilies(theirs)}, this speaker IPv${config.families.join(' and IPv')}`,
      missing.finish(),
    );
  }
  const holdTimeSeconds = Math.min(open.holdTimeSeconds, config.holdTimeSeconds);
  const third = holdTimeSeconds / 3;
  return {
    peerAs: open.asNumber,
    peerIdentifier: open.identifier,
    isIbgp,
    holdTimeSeconds,
    keepaliveSeconds: Math.min(config.keepaliveSeconds ?? third, third),
    families,
    isFourOctetAs: theirs.fourOctetAs !== undefined,
    hasRouteRefresh: theirs.hasRouteRefresh,
    hasExtendedMessages: theirs.hasExtendedMessages,
    hasEnhancedRefresh: theirs.hasEnhancedRefresh,
    addPathSend: families.filter(
      (family) =>
        config.canSendAddPath && theirs.addPath.some((one) => one.family === family && one.canReceive),
    ),
    addPathReceive: families.filter(
      (family) =>
        config.canReceiveAddPath && theirs.addPath.some((one) => one.family === family && one.canSend),
    ),
    hasExtendedNextHop: (config.hasExtendedNextHop ?? false) && theirs.hasExtendedNextHop,
    peerRestart: theirs.gracefulRestart,
    hasNotificationRestart: theirs.gracefulRestart?.hasNotification ?? false,
    // RFC 9494 section 3: ignored without the capability of RFC 4724.
    peerLongLived: theirs.gracefulRestart ? theirs.longLived : [],
    hasLongLived: (config.longLivedSeconds ?? 0) > 0,
  };
}

/** RFC 4760 section 8: the families that the peer announces, or IPv4 unicast without the multiprotocol capability. */
function offeredFamilies({ families, otherFamilies }: Capabilities): readonly Family[] {
  return families.length + otherFamilies.length > 0 ? families : [4];
}

function describeFamilies(theirs: Capabilities): string {
  return [
    ...offeredFamilies(theirs).map((family) => `IPv${family}`),
    ...theirs.otherFamilies.map(({ afi, safi }) => `AFI ${afi} SAFI ${safi}`),
  ].join(' and ');
}

/** RFC 9234 section 4.2. Roles are ignored on internal sessions. */
function checkRoles(theirs: readonly number[], config: SessionConfig): void {
  const { role } = config;
  if (config.localAs === config.asNumber) return;
  if (theirs.length > 1)
    throw roleMismatch(`the peer sends the BGP roles ${theirs.map(roleName).join(' and ')}`);
  if (role === undefined) return;
  const [theirRole] = theirs;
  if (theirRole === undefined && !config.isRoleStrict) return;
  if (theirRole !== undefined && counterpart[role] === theirRole) return;
  const said = theirRole === undefined ? 'sends no BGP role' : `sends the BGP role ${roleName(theirRole)}`;
  throw roleMismatch(
    `the peer ${said}, but our role ${roleName(role)} requires ${roleName(counterpart[role]!)}`,
  );
}

function roleMismatch(reason: string): WireError {
  return new WireError(ErrorCode.OPEN_MESSAGE, OpenSubcode.ROLE_MISMATCH, reason);
}

const counterpart: Readonly<Record<number, number>> = {
  [BgpRole.PROVIDER]: BgpRole.CUSTOMER,
  [BgpRole.CUSTOMER]: BgpRole.PROVIDER,
  [BgpRole.ROUTE_SERVER]: BgpRole.ROUTE_SERVER_CLIENT,
  [BgpRole.ROUTE_SERVER_CLIENT]: BgpRole.ROUTE_SERVER,
  [BgpRole.PEER]: BgpRole.PEER,
};

function roleName(role: number): string {
  const name = Object.entries(BgpRole).find(([, value]) => value === role)?.[0];
  return name?.toLowerCase().replaceAll('_', ' ') ?? `role ${role}`;
}
