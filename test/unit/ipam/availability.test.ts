import { describe, expect, it } from 'vitest';
import { ipReservationKind, nameOfCidr } from '../../../datastore/schema/ipam.ts';
import { unavailableIn } from '../../../ipam/availability.ts';
import { type BlockSpec, newBlock } from '../../../ipam/block.ts';

const apiVersion = 'projectcalico.org/v3';
const block = (spec: BlockSpec) => ({
  apiVersion: apiVersion as typeof apiVersion,
  kind: 'IPAMBlock' as const,
  metadata: { name: nameOfCidr(spec.cidr) },
  spec,
});
const used: BlockSpec = {
  ...newBlock('10.0.0.0/30', 'n1', 1),
  allocations: [0, null, null, null],
  unallocated: [1, 2, 3],
  attributes: [{ handle_id: 'h' }],
};
const damaged: BlockSpec = { ...used, unallocated: [0, 1, 2, 3] };
const reservation = ipReservationKind.schema.parse({
  apiVersion,
  kind: 'IPReservation',
  metadata: { name: 'r' },
  spec: { reservedCIDRs: ['10.0.0.2/31'] },
});

describe('addresses that must not be assigned', () => {
  it('are those inside reservations', () => {
    const isUnavailable = unavailableIn([], [reservation]);
    expect(['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(isUnavailable)).toEqual([false, true, true]);
  });

  it('are the allocations of damaged blocks, which an overlapping block may list as free', () => {
    expect(['10.0.0.0', '10.0.0.1'].map(unavailableIn([block(damaged)], []))).toEqual([true, false]);
    expect(['10.0.0.0', '10.0.0.1'].map(unavailableIn([block(used)], []))).toEqual([false, false]);
  });
});
