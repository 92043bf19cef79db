/** Decides which received paths may be used (RFC 4271 sections 5.1.3 and 9.1.2, RFC 4456 section 8). */

import type { Family } from '../../lib/cidr.ts';
import type { PathAttributes } from '../wire/attributes.ts';
import { BgpRole } from '../wire/iana.ts';
import { AttributeFact, type AttributeScan, Community } from '../wire/scan.ts';
import type { PolicyResult, PolicyRoute } from './export.ts';
import type { Rejection } from './rejection.ts';

export interface ImportPolicy {
  /** Policies with equal keys behave equally. */
  readonly key: string;
  apply(route: PolicyRoute): PolicyResult;
}

/**
 * Import policy by prefix, for any attributes. It runs for each received prefix, after ImportPolicy, on octets.
 */
export interface PrefixPolicy {
  /** Policies with equal keys behave equally. */
  readonly key: string;
  /**
   * Why routes to a prefix are not used; undefined when they are. The prefix is in wire form (RFC 4271 section 4.3) at
   * `at`. `isPermitted`: a filter rule accepted it explicitly.
   */
  rejection(family: Family, bytes: Uint8Array, at: number, isPermitted: boolean): Rejection | undefined;
  /** Why routes with a next hop are not used, for any prefix. `bytes` are 4, 16 or 32 octets. */
  nextHopRejection?(bytes: Uint8Array): Rejection | undefined;
}

/** A set of addresses in hex. */
export interface HexAddresses {
  has(hex: string): boolean;
}

export interface ImportContext {
  readonly localAs: number;
  /** AS number of this speaker. It differs from `localAs` when localASNumber is set for the session. */
  readonly globalAs: number;
  readonly peerAs: number;
  readonly isIbgp: boolean;
  /** BGP identifier and cluster ID of this speaker, as numbers. Cluster ID 0 means that it does not reflect. */
  readonly identifier: number;
  readonly clusterId: number;
  /** Addresses of this speaker. Routes with one of them as next hop are not used. */
  readonly ownAddresses: HexAddresses;
  /** How often our AS may be in a path (numAllowedLocalASNumbers). */
  readonly allowedLocalAs: number;
  /** Our role towards the peer (RFC 9234); undefined without roles. */
  readonly role: number | undefined;
  /** RFC 8212: without a policy, no route is used. */
  readonly requiresPolicy: boolean;
  readonly policy: ImportPolicy | undefined;
  readonly prefixPolicy?: PrefixPolicy | undefined;
}

/** Why paths with these attributes may not be used, for any prefix; undefined when they may. */
export function attributesRejection(scan: AttributeScan, context: ImportContext): string | undefined {
  const { flags } = scan;
  if (scan.ownAsCount > context.allowedLocalAs) {
    const own = [...new Set([context.localAs, context.globalAs])];
    return `AS loop: our AS ${own.join(' or ')} is in the AS_PATH`;
  }
  if (flags & AttributeFact.AS_ZERO) return 'AS 0 in the AS_PATH (RFC 7607)';
  if (flags & AttributeFact.SETS) return 'AS_SET or confederation segment in the AS_PATH (RFC 9774)';
  if (context.isIbgp) {
    if (scan.originatorId === context.identifier) return 'originated here (ORIGINATOR_ID)';
    if (hasCluster(scan, context.clusterId)) return 'our cluster ID is in the CLUSTER_LIST';
    return undefined;
  }
  const byPath = neighbourRejection(scan, context);
  if (byPath) return byPath;
  if (flags & AttributeFact.OTC && isLeak(scan, context)) return 'route leak: OTC (RFC 9234)';
  if (context.requiresPolicy && !context.policy) return 'no import policy for an external peer (RFC 8212)';
  return undefined;
}

/** RFC 4271 section 6.3. A route server does not prepend its AS number (RFC 7947 section 2.2.2.2). */
function neighbourRejection({ neighbourAs }: AttributeScan, { role, peerAs }: ImportContext) {
  if (role === BgpRole.ROUTE_SERVER_CLIENT)
    return neighbourAs === 0 ? 'the AS_PATH of an external peer is empty' : undefined;
  return neighbourAs === peerAs ? undefined : `the AS_PATH does not start with the peer's AS ${peerAs}`;
}

/** Whether `adjusted` changes these attributes. */
export function needsAdjustment({ flags }: AttributeScan, context: ImportContext): boolean {
  return (
    (!context.isIbgp && (flags & AttributeFact.GRACEFUL_SHUTDOWN) !== 0) ||
    ((flags & AttributeFact.OTC) === 0 && setsOtc(context))
  );
}

/**
 * Applies the changes that the protocol demands: LOCAL_PREF 0 for graceful shutdown (RFC 8326 section 4.1) and OTC
 * (RFC 9234 section 5). LOCAL_PREF is set only on external sessions, because internal peers receive it.
 */
export function adjusted(attributes: PathAttributes, context: ImportContext): PathAttributes {
  const isLeaving = !context.isIbgp && attributes.communities?.includes(Community.GRACEFUL_SHUTDOWN);
  return {
    ...attributes,
    ...(isLeaving ? { localPref: 0 } : {}),
    ...(setsOtc(context) && attributes.onlyToCustomer === undefined
      ? { onlyToCustomer: context.peerAs }
      : {}),
  };
}

/** Whether the session is with a provider, a peer or a route server. */
function setsOtc({ role }: ImportContext): boolean {
  return role === BgpRole.CUSTOMER || role === BgpRole.PEER || role === BgpRole.ROUTE_SERVER_CLIENT;
}

/** Why a next hop may not be used; undefined when it may. `bytes` are 4, 16 or 32 octets. */
export function nextHopRejection(bytes: Uint8Array, ownAddresses: HexAddresses): string | undefined {
  const isV4 = bytes.length === 4;
  const first = bytes[0]!;
  const isNoHost = isV4
    ? first === 0 || first === 127 || first >= 224
    : first === 0xff || bytes.subarray(0, 15).every((octet) => octet === 0);
  const hex = Buffer.from(isV4 ? bytes : bytes.subarray(0, 16)).toString('hex');
  if (ownAddresses.has(hex)) return 'the next hop is this speaker (RFC 4271 section 5.1.3)';
  return isNoHost ? 'the next hop is not a host address' : undefined;
}

function hasCluster({ bytes, clusterAt, clusterCount }: AttributeScan, clusterId: number): boolean {
  if (clusterId === 0) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let i = 0; i < clusterCount; i++) if (view.getUint32(clusterAt + i * 4) === clusterId) return true;
  return false;
}

/** RFC 9234 section 5: OTC from a customer or route server client, or from a peer with another AS in it, is a leak. */
function isLeak(scan: AttributeScan, { role, peerAs }: ImportContext): boolean {
  if (role === BgpRole.PROVIDER || role === BgpRole.ROUTE_SERVER) return true;
  return role === BgpRole.PEER && scan.onlyToCustomer !== peerAs;
}
