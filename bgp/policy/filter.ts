/**
 * BGPFilter rules (Calico reference 1.5, B-085 to B-090): ordered lists of matches with an action. The first rule that
 * matches applies. Pure.
 */
import { bitsOf, type Cidr, contains, mustCidr, networkOf } from '../../lib/cidr.ts';
import type { PathAttributes } from '../wire/attributes.ts';
import { SegmentType } from '../wire/iana.ts';
import type { PolicyRoute } from './export.ts';

export interface FilterOperation {
  readonly addCommunity?: { readonly value: string } | undefined;
  readonly prependASPath?: { readonly prefix: readonly number[] } | undefined;
  readonly setPriority?: { readonly value: number } | undefined;
}

export interface FilterRule {
  readonly cidr?: string | undefined;
  readonly matchOperator?: 'Equal' | 'NotEqual' | 'In' | 'NotIn' | undefined;
  readonly prefixLength?:
    | { readonly min?: number | undefined; readonly max?: number | undefined }
    | undefined;
  readonly source?: 'RemotePeers' | undefined;
  readonly interface?: string | undefined;
  readonly peerType?: 'eBGP' | 'iBGP' | undefined;
  readonly communities?: { readonly values: readonly string[] } | undefined;
  readonly asPathPrefix?: readonly number[] | undefined;
  readonly priority?: number | undefined;
  readonly action: 'Accept' | 'Reject';
  readonly operations?: readonly FilterOperation[] | undefined;
}

/** Input of a filter other than the route. */
export interface FilterContext {
  readonly isIbgpSession: boolean;
  /** Metric of routes without LOCAL_PREF (ipv4NormalRoutePriority). */
  readonly normalPriority: number;
  /** Interface of the route, if known. */
  readonly interface?: string | undefined;
}

export interface FilterVerdict {
  readonly action: 'Accept' | 'Reject';
  /** Position of the rule, from 1. */
  readonly rule: number;
  readonly attributes: PathAttributes;
}

/** The sum of LOCAL_PREF and kernel metric, so a higher LOCAL_PREF is a lower metric (Calico B-071). */
export const PRIORITY_SUM = 2147483647;

export function priorityOf({ localPref }: PathAttributes, normalPriority: number): number {
  return localPref === undefined || localPref > PRIORITY_SUM ? normalPriority : PRIORITY_SUM - localPref;
}

/** Returns the verdict of the first rule that matches; undefined when none does. */
export function applyRules(
  rules: readonly FilterRule[],
  route: PolicyRoute,
  context: FilterContext,
): FilterVerdict | undefined {
  for (const [index, rule] of rules.entries()) {
    if (!matches(rule, route, context)) continue;
    const { action, operations = [] } = rule;
    const attributes = action === 'Accept' ? operations.reduce(operate, route.attributes) : route.attributes;
    return { action, rule: index + 1, attributes };
  }
  return undefined;
}

function matches(rule: FilterRule, route: PolicyRoute, context: FilterContext): boolean {
  const { attributes } = route;
  return (
    matchesPrefix(rule, route.prefix) &&
    (rule.source === undefined || !route.isLocal) &&
    (rule.interface === undefined || matchesPattern(rule.interface, context.interface ?? '')) &&
    (rule.peerType === undefined || (rule.peerType === 'iBGP') === context.isIbgpSession) &&
    (rule.communities?.values ?? []).every((value) => hasCommunity(attributes, value)) &&
    (rule.asPathPrefix === undefined || startsWith(attributes, rule.asPathPrefix)) &&
    (rule.priority === undefined || rule.priority === priorityOf(attributes, context.normalPriority))
  );
}

function matchesPrefix({ cidr, matchOperator, prefixLength }: FilterRule, prefix: string): boolean {
  if (cidr === undefined || matchOperator === undefined) return true;
  const range = networkOf(mustCidr(cidr));
  const net = mustCidr(prefix);
  const isEqual = range.family === net.family && range.value === net.value && range.length === net.length;
  switch (matchOperator) {
    case 'Equal':
      return isEqual;
    case 'NotEqual':
      return !isEqual;
    case 'In':
      return isIn(range, net, prefixLength);
    case 'NotIn':
      return !isIn(range, net, prefixLength);
    default:
      throw new Error(`unreachable operator ${matchOperator satisfies never}`);
  }
}

function isIn(range: Cidr, net: Cidr, lengths: FilterRule['prefixLength']): boolean {
  if (!contains(range, net)) return false;
  return net.length >= (lengths?.min ?? range.length) && net.length <= (lengths?.max ?? bitsOf(net.family));
}

/** Whether a name matches a pattern in which `*` matches any characters. */
export function matchesPattern(pattern: string, name: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop();
  if (tail === undefined) return pattern === name;
  if (name.length < head.length + tail.length || !name.startsWith(head) || !name.endsWith(tail)) return false;
  const end = name.length - tail.length;
  // The first occurrence of each part leaves the most room for the others.
  let at = head.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** Parses a community `aa:nn` or large community `aa:nn:mm`; undefined when it is neither. */
export function parseCommunity(text: string): number | readonly [number, number, number] | undefined {
  const parts = text.split(':').map(Number);
  const [first = 0, second = 0, third = 0] = parts;
  if (parts.length === 2 && parts.every((part) => part >= 0 && part <= 0xffff)) return first * 65536 + second;
  if (parts.length === 3 && parts.every((part) => part >= 0 && part <= 0xffffffff))
    return [first, second, third];
  return undefined;
}

function hasCommunity({ communities = [], largeCommunities = [] }: PathAttributes, text: string): boolean {
  const wanted = parseCommunity(text);
  if (typeof wanted === 'number') return communities.includes(wanted);
  return wanted !== undefined && largeCommunities.some((one) => one.join(':') === wanted.join(':'));
}

/** Adds a community, unless the route has it already. */
export function addCommunity(attributes: PathAttributes, text: string): PathAttributes {
  const added = parseCommunity(text);
  if (added === undefined || hasCommunity(attributes, text)) return attributes;
  if (typeof added === 'number')
    return { ...attributes, communities: [...(attributes.communities ?? []), added] };
  return { ...attributes, largeCommunities: [...(attributes.largeCommunities ?? []), added] };
}

function startsWith({ asPath }: PathAttributes, prefix: readonly number[]): boolean {
  const path = asPath.flatMap(({ asNumbers }) => asNumbers);
  return prefix.every((as, index) => path[index] === as);
}

function operate(attributes: PathAttributes, operation: FilterOperation): PathAttributes {
  if (operation.addCommunity) return addCommunity(attributes, operation.addCommunity.value);
  if (operation.setPriority) return { ...attributes, localPref: PRIORITY_SUM - operation.setPriority.value };
  const prefix = operation.prependASPath?.prefix;
  if (!prefix) return attributes;
  const [first, ...rest] = attributes.asPath;
  if (first?.type !== SegmentType.AS_SEQUENCE || first.asNumbers.length + prefix.length > 255)
    return {
      ...attributes,
      asPath: [{ type: SegmentType.AS_SEQUENCE, asNumbers: prefix }, ...attributes.asPath],
    };
  return { ...attributes, asPath: [{ ...first, asNumbers: [...prefix, ...first.asNumbers] }, ...rest] };
}
