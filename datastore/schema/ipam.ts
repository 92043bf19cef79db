/** The objects of IPAM: blocks, affinities, handles, configuration, reservations. Calico reference 1.7. */
import { z } from 'zod';
import { ipamConfigurationNameRule, ipamConfigurationRule, MAX_NETWORKS, served } from './cel-rules.ts';
import { addressOrNetwork, network } from './fields.ts';
import { ageColumn, calicoKind, calicoObject, type ResourceDefinition } from './resource.ts';

const attribute = z
  .looseObject({
    handle_id: z.string().nullish().describe('The handle that holds the addresses.'),
    secondary: z
      .record(z.string(), z.string().describe('A value.'))
      .nullish()
      .describe('Pod, namespace, node and type of the holder.'),
  })
  .describe('A holder of addresses.');

const block = calicoObject(
  'IPAMBlock',
  z
    .looseObject({
      cidr: network.describe('The range of the block.'),
      affinity: z.string().nullish().describe('The owner: host:NODE; absent while no node owns it.'),
      allocations: z
        .array(z.number().int().nullable().describe('Index into attributes, or null.'))
        .describe('For each address an index into attributes, or null while it is free.'),
      // First in, first out, to reuse a freed address as late as possible.
      unallocated: z
        .array(z.number().int().describe('Offset of a free address.'))
        .describe('Offsets of free addresses; the first is assigned next.'),
      attributes: z.array(attribute).describe('Holders of the addresses.'),
      sequenceNumber: z.number().int().default(0).describe('Increases with every change.'),
      sequenceNumberForAllocation: z
        .record(z.string(), z.number().int().describe('A sequence number.'))
        .default({})
        .describe('The sequence number of each allocation, by offset.'),
      deleted: z.boolean().default(false).describe('The block is about to be deleted.'),
    })
    .describe('Addresses of a block.'),
).describe('A block of addresses. Written by agents and controllers; do not edit.');
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
  z
    .looseObject({
      state: z
        .enum(['', 'pending', 'confirmed', 'pendingDeletion'])
        .describe('pending while the node claims the block, confirmed, or pendingDeletion.'),
      node: z.string().describe('Name of the owner.'),
      type: z.string().default('host').describe('Type of the owner: host.'),
      cidr: network.describe('The range of the block.'),
      deleted: z
        .union([z.boolean(), z.string()])
        .default(false)
        .describe('The affinity is about to be deleted.'),
    })
    .describe('Owner and block.'),
).describe('A node owns a block. Written by agents and controllers; do not edit.');
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
  ({ spec }) =>
    String(spec.deleted) === 'true'
      ? [
          {
            field: 'spec.deleted',
            value: spec.deleted,
            message: 'is reserved for the allocator: remove an affinity with calictl delete',
            isHarmless: true,
          },
        ]
      : [],
);

const handle = calicoObject(
  'IPAMHandle',
  z
    .looseObject({
      handleID: z.string().describe('Identifies what holds the addresses, such as a container.'),
      block: z
        .record(z.string(), z.number().int().describe('Number of addresses.'))
        .describe('Number of addresses held in each block.'),
      deleted: z.boolean().default(false).describe('The handle is about to be deleted.'),
    })
    .describe('Addresses of a holder.'),
).describe('The addresses of one holder. Written by agents and controllers; do not edit.');
export type IPAMHandle = z.output<typeof handle>;

export const ipamHandleKind = calicoKind(
  { kind: 'IPAMHandle', plural: 'ipamhandles', singular: 'ipamhandle' },
  handle,
  [{ name: 'Handle', type: 'string', path: '.spec.handleID' }, ageColumn],
);

const configuration = calicoObject(
  'IPAMConfiguration',
  z
    .strictObject({
      strictAffinity: z
        .boolean()
        .default(false)
        .describe('Whether a node takes addresses only from its own blocks.'),
      maxBlocksPerHost: z
        .number()
        .int()
        .min(0)
        .max(1_000_000)
        .default(0)
        .describe('Maximum number of blocks of a node; 0 sets no limit.'),
      autoAllocateBlocks: z
        .boolean()
        .default(true)
        .describe('Whether nodes claim blocks automatically. May be false only with strictAffinity.'),
      kubeVirtVMAddressPersistence: z
        .enum(['Enabled', 'Disabled'])
        .optional()
        .describe('Whether a virtual machine keeps its address. Accepted, without effect.'),
      ipCooldownSeconds: z
        .number()
        .int()
        .min(0)
        .max(1200)
        .optional()
        .describe('Delay before a freed address is reused. Accepted, without effect.'),
    })
    .meta(served(ipamConfigurationRule))
    .describe('IPAM settings.'),
)
  .meta(served(ipamConfigurationNameRule))
  .describe('IPAM settings of the cluster; the name is "default".');
export type IPAMConfiguration = z.output<typeof configuration>;

const configurationDefinition = calicoKind(
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

export const ipamConfigurationKind: ResourceDefinition<typeof configuration> = {
  ...configurationDefinition,
  withoutEffect: {
    kubeVirtVMAddressPersistence: {
      reason: 'Cali does not support virtual machines: their pods get addresses like all others',
      neutral: ['Disabled'],
    },
    ipCooldownSeconds: {
      reason: 'Cali reuses a freed address after all other free addresses of its block',
      neutral: [0],
    },
  },
};

const reservation = calicoObject(
  'IPReservation',
  z
    .strictObject({
      reservedCIDRs: z
        .array(addressOrNetwork.describe('An address or a range.'))
        .max(MAX_NETWORKS)
        .default([])
        .describe('Addresses and ranges that IPAM does not assign.'),
    })
    .describe('The reserved addresses.'),
).describe('Addresses that IPAM does not assign.');
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

/** Returns the object name for a prefix: `10-244-0-0-26` for `10.244.0.0/26` (Calico reference 1.7). */
export function nameOfCidr(text: string): string {
  return text.replace(/[.:/]/g, '-');
}
