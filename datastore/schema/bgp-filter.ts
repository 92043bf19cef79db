/** BGPFilter. Calico reference 1.5. */
import { z } from 'zod';
import { bitsOf, type Family, parseCidr } from '../../lib/cidr.ts';
import { filterOperationRule, filterRuleRules, served } from './cel-rules.ts';
import { asNumber, network } from './fields.ts';
import { ageColumn, calicoKind, calicoObject, type FieldError, type ResourceDefinition } from './resource.ts';

/** Bounds the cost that the API server estimates for the CEL rules. */
const MAX_RULES = 5000;

const priority = z.number().int().min(1).max(2147483646);
const community = z
  .string()
  .refine(
    (text) => /^\d{1,5}:\d{1,5}$|^\d{1,10}:\d{1,10}:\d{1,10}$/.test(text),
    'must be a community aa:nn or a large community aa:nn:mm',
  );

const operation = z
  .strictObject({
    addCommunity: z
      .strictObject({ value: community.describe('A community aa:nn, or a large community aa:nn:mm.') })
      .optional()
      .describe('Adds a community to the route.'),
    prependASPath: z
      .strictObject({
        prefix: z
          .array(asNumber.describe('An AS number.'))
          .min(1)
          .max(10)
          .describe('AS numbers, leftmost first.'),
      })
      .optional()
      .describe('Prepends AS numbers to the AS_PATH.'),
    setPriority: z
      .strictObject({ value: priority.describe('The metric; LOCAL_PREF is 2147483647 minus the metric.') })
      .optional()
      .describe('Sets the priority of the route: a smaller metric is preferred.'),
  })
  .meta(served(filterOperationRule))
  .describe('One change: set exactly one field.');

const rule = z
  .strictObject({
    cidr: network
      .optional()
      .describe('Range to compare the prefix with, by matchOperator. Requires matchOperator.'),
    matchOperator: z
      .enum(['Equal', 'NotEqual', 'In', 'NotIn'])
      .optional()
      .describe('How the prefix relates to cidr: Equal, NotEqual, In (inside it) or NotIn.'),
    prefixLength: z
      .strictObject({
        min: z.number().int().min(0).max(128).optional().describe('Shortest prefix length that matches.'),
        max: z.number().int().min(0).max(128).optional().describe('Longest prefix length that matches.'),
      })
      .optional()
      .describe('Prefix lengths that match. Requires cidr.'),
    source: z.literal('RemotePeers').optional().describe('RemotePeers: only routes learned from BGP peers.'),
    interface: z
      .string()
      .regex(
        /^[\w.*-]{1,15}$/,
        'must be an interface name of at most 15 characters; * matches any characters',
      )
      .optional()
      .describe('Only routes through an interface of this name; * matches any characters.'),
    peerType: z
      .enum(['eBGP', 'iBGP'])
      .optional()
      .describe('Only routes to or from peers of another AS (eBGP) or of the same AS (iBGP).'),
    communities: z
      .strictObject({
        values: z
          .array(community.describe('A community aa:nn, or a large community aa:nn:mm.'))
          .length(1)
          .describe('One community.'),
      })
      .optional()
      .describe('Only routes that carry this community.'),
    asPathPrefix: z
      .array(asNumber.describe('An AS number.'))
      .min(1)
      .optional()
      .describe('Only routes whose AS_PATH begins with these AS numbers.'),
    priority: priority.optional().describe('Only routes of this priority (metric).'),
    action: z.enum(['Accept', 'Reject']).describe('Accept or Reject; the first rule that matches decides.'),
    operations: z
      .array(operation)
      .min(1)
      .max(10)
      .optional()
      .describe('Changes to an accepted route, in order.'),
  })
  .meta(served(...filterRuleRules))
  .describe('A rule: every field that is set must match.');

const filter = calicoObject(
  'BGPFilter',
  z
    .strictObject({
      exportV4: z
        .array(rule)
        .max(MAX_RULES)
        .optional()
        .describe(
          'Rules for IPv4 routes that are announced to the peer; a route that matches none is accepted.',
        ),
      importV4: z
        .array(rule)
        .max(MAX_RULES)
        .optional()
        .describe('Rules for IPv4 routes that the peer announces; a route that matches none is accepted.'),
      exportV6: z
        .array(rule)
        .max(MAX_RULES)
        .optional()
        .describe(
          'Rules for IPv6 routes that are announced to the peer; a route that matches none is accepted.',
        ),
      importV6: z
        .array(rule)
        .max(MAX_RULES)
        .optional()
        .describe('Rules for IPv6 routes that the peer announces; a route that matches none is accepted.'),
    })
    .default({})
    .describe('Lists of rules by direction and family.'),
).describe('Filters for routes announced to a peer and accepted from it. A BGPPeer lists its filters.');
export type BGPFilter = z.output<typeof filter>;
type Rule = z.output<typeof rule>;

function validate({ spec }: BGPFilter): FieldError[] {
  const lists = [
    ['exportV4', 4],
    ['importV4', 4],
    ['exportV6', 6],
    ['importV6', 6],
  ] as const;
  return lists.flatMap(([name, family]) =>
    (spec[name] ?? []).flatMap((one, index) =>
      ruleErrors(one, family).map(({ field, message }) => ({
        field: `spec.${name}[${index}]${field}`,
        message,
      })),
    ),
  );
}

function ruleErrors(one: Rule, family: Family): FieldError[] {
  const errors: FieldError[] = [];
  const bits = bitsOf(family);
  if ((one.cidr === undefined) !== (one.matchOperator === undefined))
    errors.push({ field: '.matchOperator', message: 'must be set together with cidr: set both or neither' });
  if (one.cidr !== undefined && parseCidr(one.cidr)?.family !== family)
    errors.push({ field: '.cidr', message: `must be an IPv${family} network in this list` });
  if (one.prefixLength && one.cidr === undefined)
    errors.push({ field: '.prefixLength', message: 'needs cidr' });
  if ((one.prefixLength?.min ?? 0) > bits || (one.prefixLength?.max ?? 0) > bits)
    errors.push({ field: '.prefixLength', message: `must be 0 to ${bits}` });
  if (one.operations && one.action === 'Reject')
    errors.push({
      field: '.operations',
      message: 'have no effect on a rejected route: remove them',
    });
  for (const [index, operations] of (one.operations ?? []).entries()) {
    if (Object.values(operations).filter((value) => value !== undefined).length !== 1)
      errors.push({
        field: `.operations[${index}]`,
        message: 'must have exactly one of addCommunity, prependASPath, setPriority',
      });
  }
  return errors;
}

const definition = calicoKind(
  { kind: 'BGPFilter', plural: 'bgpfilters', singular: 'bgpfilter', shortNames: ['bgpf'] },
  filter,
  [ageColumn],
  validate,
);

/** An unreadable list rejects every route of its family, because without a list all would be accepted. */
const REFUSE = { value: [{ action: 'Reject' }] } as const;

export const bgpFilterKind: ResourceDefinition<typeof filter> = {
  ...definition,
  fallbacks: { exportV4: REFUSE, importV4: REFUSE, exportV6: REFUSE, importV6: REFUSE },
};
