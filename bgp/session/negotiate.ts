/** What follows from the peer's OPEN (RFC 4271 sections 4.2 and 6.2, RFC 5492). */
import { ErrorCode, OpenSubcode } from '../wire/iana.ts';
import type { OpenMessage } from '../wire/open.ts';
import { WireError } from '../wire/wire-error.ts';
import { Writer } from '../wire/writer.ts';
import type { Negotiated, SessionConfig } from './session.ts';

/** Throws WireError when the OPEN is not acceptable. */
export function negotiate(open: OpenMessage, config: SessionConfig): Negotiated {
  if (open.asNumber !== config.peerAs) {
    throw new WireError(
      ErrorCode.OPEN_MESSAGE,
      OpenSubcode.BAD_PEER_AS,
      `the peer says AS ${open.asNumber}, configured is AS ${config.peerAs}`,
    );
  }
  const isIbgp = config.localAs === config.peerAs;
  if (isIbgp && open.identifier === config.identifier) {
    throw new WireError(
      ErrorCode.OPEN_MESSAGE,
      OpenSubcode.BAD_BGP_IDENTIFIER,
      `the peer has our own BGP identifier ${config.identifier}: give one of the two another router ID`,
    );
  }
  const theirs = open.capabilities;
  // Without multiprotocol capability a speaker means IPv4 unicast (RFC 4760 section 8).
  const offered = theirs.families.length > 0 ? theirs.families : [4 as const];
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
      `no address family in common: the peer speaks IPv${offered.join(' and IPv')}, configured is IPv${config.families.join(' and IPv')}`,
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
    peerRestart: theirs.gracefulRestart,
  };
}
