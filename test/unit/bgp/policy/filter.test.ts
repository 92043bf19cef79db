import { describe, expect, it } from 'vitest';
import type { PolicyRoute } from '../../../../bgp/policy/export.ts';
import { applyRules, type FilterRule, matchesPattern, priorityOf } from '../../../../bgp/policy/filter.ts';
import { someAttributes } from '../../../helpers/rib.ts';

const route = (
  prefix: string,
  change: Partial<PolicyRoute['attributes']> = {},
  isLocal = false,
): PolicyRoute => ({
  prefix,
  attributes: { ...someAttributes, ...change },
  isLocal,
  isIbgp: true,
});
const context = { isIbgpSession: true, normalPriority: 1024 };
const verdict = (rule: Omit<FilterRule, 'action'>, one: PolicyRoute, more = {}) =>
  applyRules([{ ...rule, action: 'Accept' }], one, { ...context, ...more }) !== undefined;

describe('a BGPFilter rule (Calico 1.5)', () => {
  it.each<[string, Omit<FilterRule, 'action'>, PolicyRoute, boolean]>([
    [
      'with Equal matches the same prefix',
      { cidr: '10.1.0.0/16', matchOperator: 'Equal' },
      route('10.1.0.0/16'),
      true,
    ],
    [
      'with Equal does not match a longer prefix',
      { cidr: '10.1.0.0/16', matchOperator: 'Equal' },
      route('10.1.0.0/17'),
      false,
    ],
    [
      'with NotEqual matches another prefix',
      { cidr: '10.1.0.0/16', matchOperator: 'NotEqual' },
      route('10.1.0.0/17'),
      true,
    ],
    [
      'with In matches a prefix inside',
      { cidr: '10.1.0.0/16', matchOperator: 'In' },
      route('10.1.9.0/26'),
      true,
    ],
    [
      'with In does not match a prefix elsewhere',
      { cidr: '10.1.0.0/16', matchOperator: 'In' },
      route('10.2.9.0/26'),
      false,
    ],
    [
      'with In does not match a shorter prefix',
      { cidr: '10.1.0.0/16', matchOperator: 'In' },
      route('10.0.0.0/8'),
      false,
    ],
    [
      'with NotIn matches a prefix elsewhere',
      { cidr: '10.1.0.0/16', matchOperator: 'NotIn' },
      route('10.2.9.0/26'),
      true,
    ],
    [
      'with In matches a prefix within its prefixLength',
      { cidr: '10.1.0.0/16', matchOperator: 'In', prefixLength: { min: 24, max: 28 } },
      route('10.1.9.0/26'),
      true,
    ],
    [
      'with In does not match a prefix longer than its prefixLength',
      { cidr: '10.1.0.0/16', matchOperator: 'In', prefixLength: { max: 25 } },
      route('10.1.9.0/26'),
      false,
    ],
    [
      'with source RemotePeers does not match a local route',
      { source: 'RemotePeers' },
      route('10.1.0.0/16', {}, true),
      false,
    ],
    [
      'with source RemotePeers matches a learned route',
      { source: 'RemotePeers' },
      route('10.1.0.0/16'),
      true,
    ],
    ['with peerType eBGP does not match an iBGP route', { peerType: 'eBGP' }, route('10.1.0.0/16'), false],
    [
      'with communities matches a community',
      { communities: { values: ['64512:1'] } },
      route('10.1.0.0/16', { communities: [64512 * 65536 + 1] }),
      true,
    ],
    [
      'with communities matches a large community',
      { communities: { values: ['1:2:3'] } },
      route('10.1.0.0/16', { largeCommunities: [[1, 2, 3]] }),
      true,
    ],
    [
      'with communities does not match a route without that community',
      { communities: { values: ['64512:2'] } },
      route('10.1.0.0/16'),
      false,
    ],
    [
      'with asPathPrefix matches the start of the AS path',
      { asPathPrefix: [65001] },
      route('10.1.0.0/16'),
      true,
    ],
    [
      'with asPathPrefix does not match elsewhere in the AS path',
      { asPathPrefix: [65002] },
      route('10.1.0.0/16'),
      false,
    ],
    [
      'with priority matches the LOCAL_PREF of that metric',
      { priority: 512 },
      route('10.1.0.0/16', { localPref: 2147483647 - 512 }),
      true,
    ],
    [
      'with interface does not match a route without that interface',
      { interface: 'cali*' },
      route('10.1.0.0/16'),
      false,
    ],
  ])('%s', (_, rule, one, expected) => {
    expect(verdict(rule, one)).toBe(expected);
  });

  it('matches interface names by patterns with *', () => {
    expect(matchesPattern('cali*', 'cali123')).toBe(true);
    expect(matchesPattern('*.cali', 'vxlan.cali')).toBe(true);
    expect(matchesPattern('eth0', 'eth01')).toBe(false);
    expect(matchesPattern('eth.', 'eth0')).toBe(false);
    expect(matchesPattern('a*b*c', 'aXbYbc')).toBe(true);
    expect(matchesPattern('a*b*c', 'acb')).toBe(false);
    expect(matchesPattern('ab*ba', 'aba')).toBe(false);
    expect(matchesPattern('*', '')).toBe(true);
    expect(matchesPattern(`${'*a'.repeat(5000)}*b`, 'a'.repeat(10_000))).toBe(false);
  });

  it('that matches first decides, and its operations are applied in order', () => {
    const rules: FilterRule[] = [
      { cidr: '10.9.0.0/16', matchOperator: 'In', action: 'Reject' },
      {
        action: 'Accept',
        operations: [
          { addCommunity: { value: '1:2' } },
          { addCommunity: { value: '1:2:3' } },
          { prependASPath: { prefix: [7, 8] } },
          { setPriority: { value: 100 } },
        ],
      },
    ];
    expect(applyRules(rules, route('10.9.1.0/24'), context)).toMatchObject({ action: 'Reject', rule: 1 });
    const { attributes, rule } = applyRules(rules, route('10.1.0.0/16'), context)!;
    expect(rule).toBe(2);
    expect(attributes).toEqual({
      ...someAttributes,
      communities: [65538],
      largeCommunities: [[1, 2, 3]],
      asPath: [{ type: 2, asNumbers: [7, 8, 65001, 65002] }],
      localPref: 2147483547,
    });
    expect(priorityOf(attributes, 1024)).toBe(100);
  });
});
