/** The objects of IPAM: blocks, affinities, handles, configuration, reservations. Calico reference 1.7. */
import { z } from 'zod';
import { addressOrNetwork, network } from './fields.ts';
import { ageColumn, calicoKind, calicoObject, type ResourceDefinition } from './resource.ts';

const attribute = z.looseObject({
  handle_id: z.string().nullish(),
  secondary: z.record(z.string(), z.string()).nullish(),
});

const block = calicoObject(
  'IPAMBlock',
  z.looseObject({
    cidr: network,
    /** `host:<node>`; absent once the block belongs to nobody. */
    affinity: z.string().nullish(),
    /** Per ordinal: index into attributes, or null while free. */
    allocations: z.array(z.number().int().nullable()),
    /** Free ordinals, first in first out: a freed address rests longest. */
    unallocated: z.array(z.number().int()),
    attributes: z.array(attribute),
    sequenceNumber: z.number().int().default(0),
    sequenceNumberForAllocation: z.record(z.string(), z.number().int()).default({}),
    deleted: z.boolean().default(false),
  }),
);
export type IPAMBlock = z.output<typeof block>;

export const ipamBlockKind = calicoKind(
  { kind: 'IPAMBlock', plural: 'ipamblocks', singular: 'ipamblock' },
  block,
  [
    { name: 'CIDR', type: 'string', path: '.spec.cidr' },
    { name: 'Affinity', type: 'string', path: '.spec.affinity' },
    ageColumn,
  ],
);

const affinity = calicoObject(
  'BlockAffinity',
  z.looseObject({
    state: z.enum(['', 'pending', 'confirmed', 'pendingDeletion']),
    node: z.string(),
    type: z.string().default('host'),
    cidr: network,
    deleted: z.union([z.boolean(), z.string()]).default(false),
  }),
);
export type BlockAffinity = z.output<typeof affinity>;

export const blockAffinityKind = calicoKind(
  { kind: 'BlockAffinity', plural: 'blockaffinities', singular: 'blockaffinity', shortNames: ['affinity'] },
  affinity,
  [
    { name: 'CIDR', type: 'string', path: '.spec.cidr' },
    { name: 'Node', type: 'string', path: '.spec.node' },
    { name: 'State', type: 'string', path: '.spec.state' },
    ageColumn,
  ],
);

const handle = calicoObject(
  'IPAMHandle',
  z.looseObject({
    handleID: z.string(),
    /** Addresses held per block. */
    block: z.record(z.string(), z.number().int()),
    deleted: z.boolean().default(false),
  }),
);
export type IPAMHandle = z.output<typeof handle>;

export const ipamHandleKind = calicoKind(
  { kind: 'IPAMHandle', plural: 'ipamhandles', singular: 'ipamhandle' },
  handle,
  [{ name: 'Handle', type: 'string', path: '.spec.handleID' }, ageColumn],
);

const configuration = calicoObject(
  'IPAMConfiguration',
  z.strictObject({
    strictAffinity: z.boolean().default(false),
    maxBlocksPerHost: z.number().int().min(0).max(1_000_000).default(0),
    autoAllocateBlocks: z.boolean().default(true),
    kubeVirtVMAddressPersistence: z.enum(['Enabled', 'Disabled']).optional(),
    ipCooldownSeconds: z.number().int().min(0).max(1200).optional(),
  }),
);
export type IPAMConfiguration = z.output<typeof configuration>;

export const ipamConfigurationKind = calicoKind(
  {
    kind: 'IPAMConfiguration',
    plural: 'ipamconfigurations',
    singular: 'ipamconfiguration',
    shortNames: ['ipamconfig'],
  },
  configuration,
  [
    { name: 'Strict', type: 'boolean', path: '.spec.strictAffinity' },
    { name: 'Max Blocks', type: 'integer', path: '.spec.maxBlocksPerHost' },
    ageColumn,
  ],
  ({ metadata, spec }) => [
    ...(metadata.name === 'default'
      ? []
      : [
          {
            field: 'metadata.name',
            value: metadata.name,
            message: 'must be "default": there is one per cluster',
          },
        ]),
    ...(!spec.strictAffinity && !spec.autoAllocateBlocks
      ? [{ field: 'spec.autoAllocateBlocks', message: 'may be false only while strictAffinity is true' }]
      : []),
  ],
);

const reservation = calicoObject(
  'IPReservation',
  z.strictObject({ reservedCIDRs: z.array(addressOrNetwork).default([]) }),
);
export type IPReservation = z.output<typeof reservation>;

const reservationDefinition = calicoKind(
  {
    kind: 'IPReservation',
    plural: 'ipreservations',
    singular: 'ipreservation',
    shortNames: ['reservation'],
  },
  reservation,
  [{ name: 'CIDRs', type: 'string', path: '.spec.reservedCIDRs' }, ageColumn],
);

export const ipReservationKind: ResourceDefinition<typeof reservation> = {
  ...reservationDefinition,
  fallbacks: { reservedCIDRs: 'drop elements' },
};

/** Object name for a prefix: `10.244.0.0/26` is `10-244-0-0-26` (Calico reference 1.7). */
export function nameOfCidr(text: string): string {
  return text.replace(/[.:/]/g, '-');
}
