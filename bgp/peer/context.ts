/** Derives from settings and negotiation how to open a peer's session, judge its UPDATEs and group it. */
import { addressBytes, type Family, familyOf, parseAddress } from '../../lib/cidr.ts';
import type { GroupSpec } from '../group/spec.ts';
import type { Source } from '../rib/source.ts';
import type { Negotiated } from '../session/session.ts';
import type { Remote } from '../transport/port.ts';
import { BgpRole, MAX_EXTENDED_MESSAGE_LENGTH, MAX_MESSAGE_LENGTH } from '../wire/iana.ts';
import { keyOfPeer, type PeerConfig } from './config.ts';
import type { OwnAddresses } from './own-addresses.ts';
import type { ReceiverContext } from './receiver.ts';

export interface SpeakerIdentity {
  readonly identifier: string;
  /** Current addresses of this node per family, the next hops of originated routes. */
  readonly addresses: () => Readonly<Partial<Record<Family, string>>>;
  readonly ownAddresses: OwnAddresses;
  /** Whether this speaker has restarted and still waits for routes (RFC 4724, R bit). */
  readonly isRestarting: () => boolean;
}

/** Returns the settings of a peer that its connections use. */
export function remoteOf(config: PeerConfig): Remote {
  const { address, port, localAddress, password, ttlSecurityHops } = config;
  return { address, port, localAddress, password, ttlSecurityHops };
}

/** Whether routes of one peer are advertised to another by the peers' kinds (RFC 4271 section 9.2, RFC 4456). */
export function passesOn(from: PeerConfig, to: PeerConfig): boolean {
  const isInternal = from.asNumber === from.localAs && to.asNumber === to.localAs;
  if (!isInternal) return true;
  return to.clusterId !== undefined && ((from.isClient ?? false) || (to.isClient ?? false));
}

/** Returns the row of a peer in the source table. `identifier`: BGP identifier, 0 before the first session. */
export function sourceOf(config: PeerConfig, identifier: number): Source {
  const { address, asNumber, localAs, isClient, peerType, role } = config;
  return {
    peer: keyOfPeer(config),
    isIbgp: asNumber === localAs,
    isClient: isClient ?? false,
    isWorkload: peerType === 'local workload',
    isRouteServerClient: role === BgpRole.ROUTE_SERVER && asNumber !== localAs,
    identifier,
    address,
    addressValue: parseAddress(address.replace(/%.*$/, ''))?.value ?? 0n,
  };
}

/** Returns the context to receive a peer's UPDATEs. `source` is the peer's row in the source table. */
export function receiverContext(
  config: PeerConfig,
  { identifier, ownAddresses }: SpeakerIdentity,
  source: number,
  negotiated: Negotiated,
): ReceiverContext {
  return {
    source,
    localAs: config.localAs,
    globalAs: config.globalAs ?? config.localAs,
    peerAs: config.asNumber,
    isIbgp: negotiated.isIbgp,
    isFourOctetAs: negotiated.isFourOctetAs,
    families: negotiated.families,
    addPath: negotiated.addPathReceive,
    hasExtendedNextHop: negotiated.hasExtendedNextHop,
    identifier: Number(parseAddress(identifier)!.value),
    clusterId: clusterNumber(config.clusterId),
    ownAddresses,
    allowedLocalAs: config.allowedLocalAs,
    role: negotiated.isIbgp ? undefined : config.role,
    requiresPolicy: config.requiresPolicy ?? false,
    policy: config.importPolicy,
    prefixPolicy: config.prefixPolicy,
    maxPrefixes: config.prefixLimit?.action === 'Drop' ? config.prefixLimit.limit : undefined,
  };
}

/** Returns the update group of a session. `localAddress` is the local address of its connection. */
export function groupSpec(
  config: PeerConfig,
  identity: SpeakerIdentity,
  family: Family,
  negotiated: Negotiated,
  localAddress: string | undefined,
): GroupSpec {
  const isExternal = !negotiated.isIbgp;
  const refused = isExternal && config.requiresPolicy && !config.exportPolicy;
  return {
    family,
    isIbgp: negotiated.isIbgp,
    isClient: config.isClient ?? false,
    clusterId: clusterNumber(config.clusterId),
    localAs: config.localAs,
    isFourOctetAs: negotiated.isFourOctetAs,
    maxMessageLength: negotiated.hasExtendedMessages ? MAX_EXTENDED_MESSAGE_LENGTH : MAX_MESSAGE_LENGTH,
    hasAddPath: negotiated.addPathSend.includes(family),
    hasExtendedNextHop: negotiated.hasExtendedNextHop,
    hasLongLived: negotiated.peerLongLived.some((one) => one.family === family),
    nextHopMode: config.nextHopMode ?? 'Auto',
    selfNextHop: selfNextHop(config, identity, family, localAddress),
    isRouteServer: isExternal && config.role === BgpRole.ROUTE_SERVER,
    addsOtc: isExternal && addsOtc(config.role),
    refusesOtc: isExternal && refusesOtc(config.role),
    localPref: config.localPref ?? 100,
    policy: refused ? nothingWithoutPolicy : config.exportPolicy,
  };
}

/**
 * Returns our address as next hop, in hex: the session's local address if it has the family, else the node's. The
 * node's address also replaces a link-local one. Empty when there is no suitable address.
 */
function selfNextHop(
  config: PeerConfig,
  { addresses }: SpeakerIdentity,
  family: Family,
  localAddress: string | undefined,
): string {
  const own = localAddress ?? config.localAddress ?? '';
  const address = addresses()[family];
  if (own && familyOf(own) === family)
    return hexOf(address && !own.startsWith('fe80') ? own : (address ?? own));
  if (address) return hexOf(address);
  // RFC 8950: IPv4 routes with our IPv6 address as next hop.
  return own && family === 4 && config.hasExtendedNextHop ? hexOf(own) : '';
}

const nothingWithoutPolicy = {
  key: 'RFC 8212',
  apply: () => ({ isAccepted: false as const, reason: 'no export policy for an external peer (RFC 8212)' }),
};

/** RFC 9234 section 5: OTC is added towards a customer, a peer or a route server client. */
function addsOtc(role: number | undefined): boolean {
  return role === BgpRole.PROVIDER || role === BgpRole.PEER || role === BgpRole.ROUTE_SERVER;
}

/** Routes with OTC are not advertised to a provider, a peer or a route server. */
function refusesOtc(role: number | undefined): boolean {
  return role === BgpRole.CUSTOMER || role === BgpRole.PEER || role === BgpRole.ROUTE_SERVER_CLIENT;
}

function clusterNumber(clusterId: string | undefined): number {
  return clusterId === undefined ? 0 : Number(parseAddress(clusterId)?.value ?? 0n);
}

function hexOf(address: string): string {
  return Buffer.from(addressBytes(parseAddress(address.replace(/%.*$/, ''))!)).toString('hex');
}
