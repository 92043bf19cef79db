/** Import and export policy of a session (Calico reference 2.7 and 2.8), as functions over routes. */
import type { ExportPolicy, PolicyResult, PolicyRoute } from '../../../bgp/policy/export.ts';
import { addCommunity, type FilterRule } from '../../../bgp/policy/filter.ts';
import { judge, type NamedRules } from '../../../bgp/policy/rules-policy.ts';
import type { PathAttributes } from '../../../bgp/wire/attributes.ts';
import { Community } from '../../../bgp/wire/scan.ts';
import type { BGPConfiguration } from '../../../datastore/schema/bgp-configuration.ts';
import type { BGPFilter } from '../../../datastore/schema/bgp-filter.ts';
import type { IPPool } from '../../../datastore/schema/ip-pool.ts';
import { type Cidr, contains, type Family, mustCidr } from '../../../lib/cidr.ts';
import { defaultsOf, normalPriority, ownOf } from './cluster.ts';

/** Export rules of the node, the same for all of its sessions. */
export interface ExportRules {
  /** Learned routes are passed on only within these ranges (Calico B-108 to B-111). Own ones always are. */
  readonly transit: readonly string[];
  /** Pools with disableBGPExport (B-100). */
  readonly hidden: readonly string[];
  /** Resolved communities by prefix (B-103). */
  readonly communities: readonly { readonly cidr: string; readonly values: readonly string[] }[];
  readonly normalPriorities: Readonly<Record<Family, number>>;
  /** Whether the node is about to shut down, so that peers prefer other paths (RFC 8326). */
  readonly isLeaving: boolean;
}

export function exportRules(
  node: { readonly name: string; readonly isReflector: boolean },
  pools: readonly IPPool[],
  configurations: readonly BGPConfiguration[],
): ExportRules {
  const spec = defaultsOf(configurations);
  // Calico passes on routes within the node's static routes, which include the range of cluster IPs (B-108), and on a
  // reflector those within the other ranges (B-109). An ordinary node would misdirect traffic with a /32 of a Service
  // with externalTrafficPolicy Local.
  const services = node.isReflector
    ? [spec.serviceClusterIPs, spec.serviceLoadBalancerIPs, spec.serviceExternalIPs].flatMap(
        (list) => list ?? [],
      )
    : [];
  const exported = pools.filter((pool) => !pool.spec.disableBGPExport).map((pool) => pool.spec.cidr);
  return {
    transit: [...new Set([...exported, ...services.map(({ cidr }) => cidr)])].sort(),
    hidden: pools
      .filter((pool) => pool.spec.disableBGPExport)
      .map((pool) => pool.spec.cidr)
      .sort(),
    communities: communitiesFor(node.name, configurations),
    normalPriorities: { 4: normalPriority(4, configurations), 6: normalPriority(6, configurations) },
    isLeaving: ownOf(node.name, configurations).gracefulShutdown ?? spec.gracefulShutdown ?? false,
  };
}

/** Calico B-103: the node's own list replaces the cluster's. Names resolve to the communities of their object. */
function communitiesFor(
  node: string,
  configurations: readonly BGPConfiguration[],
): ExportRules['communities'] {
  const own = ownOf(node, configurations);
  const spec = own.prefixAdvertisements ? own : defaultsOf(configurations);
  const named = new Map(
    [...(defaultsOf(configurations).communities ?? []), ...(spec.communities ?? [])].map((one) => [
      one.name,
      one.value,
    ]),
  );
  return (spec.prefixAdvertisements ?? []).map(({ cidr, communities = [] }) => ({
    cidr,
    values: communities.map((value) => named.get(value) ?? value),
  }));
}

/** Steps 2 to 4 of Calico 2.8: accepts by filters, then by the rules of the cluster, and rejects all other routes. */
export function exportPolicy(
  rules: ExportRules,
  filters: readonly NamedRules[],
  isIbgpSession: boolean,
): ExportPolicy {
  const transit = rules.transit.map(mustCidr);
  const hidden = rules.hidden.map(mustCidr);
  const communities = rules.communities.map(({ cidr, values }) => ({ range: mustCidr(cidr), values }));
  const judgeByRules = (route: PolicyRoute): PolicyResult => {
    const net = mustCidr(route.prefix);
    if (isInside(hidden, net)) return { isAccepted: false, reason: 'its IPPool has disableBGPExport' };
    if (!route.isLocal && !isInside(transit, net))
      return { isAccepted: false, reason: 'learned, and in no IPPool: only pod routes are readvertised' };
    const attributes = communities
      .filter(({ range }) => contains(range, net))
      .flatMap(({ values }) => values)
      .reduce(addCommunity, route.attributes);
    return { isAccepted: true, attributes };
  };
  return {
    key: JSON.stringify(['export', rules, filters, isIbgpSession]),
    apply(route) {
      const result = judge(filters, route, isIbgpSession, rules.normalPriorities) ?? judgeByRules(route);
      if (!result.isAccepted || !rules.isLeaving) return result;
      return { ...result, attributes: leaving(result.attributes, isIbgpSession) };
    },
  };
}

/** RFC 8326 section 4: adds the community, and inside the AS sets the lowest LOCAL_PREF. */
function leaving(attributes: PathAttributes, isIbgpSession: boolean): PathAttributes {
  const before = attributes.communities ?? [];
  const communities = before.includes(Community.GRACEFUL_SHUTDOWN)
    ? before
    : [...before, Community.GRACEFUL_SHUTDOWN];
  return { ...attributes, communities, ...(isIbgpSession ? { localPref: 0 } : {}) };
}

/** Rules of an unusable filter: reject all routes. */
const rejectAll: readonly FilterRule[] = ['0.0.0.0/0', '::/0'].map((cidr) => ({
  cidr,
  matchOperator: 'In',
  action: 'Reject',
}));

/**
 * Returns the rules of the named filters in one direction, for both families. A filter that does not exist is ignored
 * (B-088). One of `unusable`, which exists but cannot be used, rejects all routes.
 */
export function rulesOf(
  names: readonly string[],
  filters: readonly BGPFilter[],
  direction: 'import' | 'export',
  unusable: readonly string[] = [],
): NamedRules[] {
  return names.flatMap((name) => {
    const spec = filters.find(({ metadata }) => metadata.name === name)?.spec;
    if (!spec) return unusable.includes(name) ? [{ filter: name, rules: rejectAll }] : [];
    const rules =
      direction === 'import'
        ? [...(spec.importV4 ?? []).map(inFamily(4)), ...(spec.importV6 ?? []).map(inFamily(6))]
        : [...(spec.exportV4 ?? []).map(inFamily(4)), ...(spec.exportV6 ?? []).map(inFamily(6))];
    return rules.length > 0 ? [{ filter: name, rules }] : [];
  });
}

/** Describes missing and unusable filters of a peer; undefined when all can be used. */
export function filterWarning(
  names: readonly string[],
  filters: readonly BGPFilter[],
  unusable: readonly string[],
): string | undefined {
  const sentences = names
    .filter((name) => !filters.some(({ metadata }) => metadata.name === name))
    .map((name) =>
      unusable.includes(name)
        ? `BGPFilter ${name} cannot be used: it rejects every route`
        : `BGPFilter ${name} does not exist: it filters nothing`,
    );
  return sentences.length > 0 ? sentences.join('; ') : undefined;
}

/** Limits a rule without cidr to the family of its list. */
function inFamily(family: Family): (rule: FilterRule) => FilterRule {
  return (rule) =>
    rule.cidr === undefined
      ? { ...rule, cidr: family === 4 ? '0.0.0.0/0' : '::/0', matchOperator: 'In' }
      : rule;
}

function isInside(ranges: readonly Cidr[], net: Cidr): boolean {
  return ranges.some((range) => contains(range, net));
}
