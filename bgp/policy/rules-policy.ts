/** A policy of BGPFilters in order. The first rule that matches applies; without a match the route is accepted. */
import { type Family, familyOf } from '../../lib/cidr.ts';
import type { ExportPolicy, PolicyResult, PolicyRoute } from './export.ts';
import { applyRules, type FilterRule } from './filter.ts';

export interface NamedRules {
  readonly filter: string;
  /** Each rule has a cidr, which determines its family. */
  readonly rules: readonly FilterRule[];
}

export type Priorities = Readonly<Record<Family, number>>;

/** Returns the policy; undefined without filters, so that routes need not be judged one by one. */
export function applyRulesPolicy(
  direction: 'import' | 'export',
  filters: readonly NamedRules[],
  isIbgpSession: boolean,
  priorities: Priorities,
): ExportPolicy | undefined {
  if (filters.length === 0) return undefined;
  return {
    key: JSON.stringify([direction, filters, isIbgpSession, priorities]),
    apply: (route) =>
      judge(filters, route, isIbgpSession, priorities) ?? { isAccepted: true, attributes: route.attributes },
  };
}

/** Returns the result of the filters; undefined when no rule matches. */
export function judge(
  filters: readonly NamedRules[],
  route: PolicyRoute,
  isIbgpSession: boolean,
  priorities: Priorities,
): PolicyResult | undefined {
  const family = familyOf(route.prefix);
  const context = { isIbgpSession, normalPriority: priorities[family] };
  for (const { filter, rules } of filters) {
    const sameFamily = rules.filter(({ cidr }) => familyOf(cidr!) === family);
    const verdict = applyRules(sameFamily, route, context);
    if (verdict?.action === 'Reject')
      return { isAccepted: false, reason: `BGPFilter ${filter}, rule ${verdict.rule}` };
    if (verdict) return { isAccepted: true, attributes: verdict.attributes, isExplicit: true };
  }
  return undefined;
}
