/** BGPFilter. Calico reference 1.5. */
import { z } from 'zod';
import { bitsOf, type Family, parseCidr } from '../../lib/cidr.ts';
import { asNumber, network } from './fields.ts';
import { ageColumn, calicoKind, calicoObject, type FieldError, type ResourceDefinition } from './resource.ts';

const priority = z.number().int().min(1).max(2147483646);
const community = z
  .string()
  .refine(
    (text) => /^\d{1,5}:\d{1,5}$|^\d{1,10}:\d{1,10}:\d{1,10}$/.test(text),
    'must be a community aa:nn or a large community aa:nn:mm',
  );

const operation = z.strictObject({
  addCommunity: z.strictObject({ value: community }).optional(),
  prependASPath: z.strictObject({ prefix: z.array(asNumber).min(1).max(10) }).optional(),
  setPriority: z.strictObject({ value: priority }).optional(),
});

const rule = z.strictObject({
  cidr: network.optional(),
  matchOperator: z.enum(['Equal', 'NotEqual', 'In', 'NotIn']).optional(),
  prefixLength: z
    .strictObject({
      min: z.number().int().min(0).max(128).optional(),
      max: z.number().int().min(0).max(128).optional(),
    })
    .optional(),
  source: z.literal('RemotePeers').optional(),
  interface: z
    .string()
    .regex(/^[\w.*-]{1,15}$/, 'must be an interface name of at most 15 characters; * stands for any')
    .optional(),
  peerType: z.enum(['eBGP', 'iBGP']).optional(),
  communities: z.strictObject({ values: z.array(community).length(1) }).optional(),
  asPathPrefix: z.array(asNumber).min(1).optional(),
  priority: priority.optional(),
  action: z.enum(['Accept', 'Reject']),
  operations: z.array(operation).min(1).max(10).optional(),
});

const filter = calicoObject(
  'BGPFilter',
  z
    .strictObject({
      exportV4: z.array(rule).optional(),
      importV4: z.array(rule).optional(),
      exportV6: z.array(rule).optional(),
      importV6: z.array(rule).optional(),
    })
    .default({}),
);
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
    errors.push({ field: '.matchOperator', message: 'and cidr belong together: set both or none' });
  if (one.cidr !== undefined && parseCidr(one.cidr)?.family !== family)
    errors.push({ field: '.cidr', message: `must be an IPv${family} network in this list` });
  if (one.prefixLength && one.cidr === undefined)
    errors.push({ field: '.prefixLength', message: 'needs cidr' });
  if ((one.prefixLength?.min ?? 0) > bits || (one.prefixLength?.max ?? 0) > bits)
    errors.push({ field: '.prefixLength', message: `must be 0 to ${bits}` });
  if (one.operations && one.action === 'Reject')
    errors.push({
      field: '.operations',
      message: 'have no meaning for a route that is rejected: remove them',
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

/** A list that cannot be read refuses every route of its family: no list would accept them all. */
const REFUSE = { value: [{ action: 'Reject' }] } as const;

export const bgpFilterKind: ResourceDefinition<typeof filter> = {
  ...definition,
  fallbacks: { exportV4: REFUSE, importV4: REFUSE, exportV6: REFUSE, importV6: REFUSE },
};
