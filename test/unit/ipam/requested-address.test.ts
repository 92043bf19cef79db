import { describe, expect, it } from 'vitest';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { ipReservationKind } from '../../../datastore/schema/ipam.ts';
import { assertAffine, checkRequested } from '../../../ipam/requested-address.ts';

const apiVersion = 'projectcalico.org/v3';
const pool = (name: string, spec: object, metadata: object = {}) =>
  ipPoolKind.schema.parse({ apiVersion, kind: 'IPPool', metadata: { name, ...metadata }, spec });
const reservation = ipReservationKind.schema.parse({
  apiVersion,
  kind: 'IPReservation',
  metadata: { name: 'r' },
  spec: { reservedCIDRs: ['10.0.0.128/25'] },
});
const cluster = {
  pools: [
    pool('pods', { cidr: '10.0.0.0/24', blockSize: 30 }),
    pool('off', { cidr: '10.0.1.0/24', blockSize: 30, disabled: true }),
    pool('tunnels', { cidr: '10.0.2.0/24', blockSize: 30, allowedUses: ['Tunnel'] }),
    pool('going', { cidr: '10.0.3.0/24', blockSize: 30 }, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
  ],
  reservations: [reservation],
};
const check = (text: string, use?: 'Tunnel') => () => checkRequested(text, use ? { use } : {}, cluster);

describe('a requested address', () => {
  it('is accepted with the block of its pool', () => {
    expect(check('10.0.0.5')()).toEqual({ family: 4, address: '10.0.0.5', cidr: '10.0.0.4/30' });
    expect(check('10.0.2.5', 'Tunnel')()).toMatchObject({ cidr: '10.0.2.4/30' });
  });

  it.each([
    ['192.0.2.1', /is in no enabled IPPool/],
    ['not an address', /^not an address is in no enabled IPPool/],
    ['10.0.1.5', /is in no enabled IPPool/],
    ['10.0.2.5', /IPPool tunnels, which does not list Workload/],
    ['10.0.3.5', /IPPool going, which is being deleted/],
    ['10.0.0.200', /is reserved by an IPReservation/],
  ])('is refused with the reason: %s', (text, reason) => expect(check(text)).toThrow(reason));
});

describe('a block of another node', () => {
  const affine = (affinity: string | undefined, isStrict: boolean) => () =>
    assertAffine({ cidr: '10.0.0.4/30', affinity }, '10.0.0.5', { node: 'n1', isStrict });

  it('assigns a requested address unless strictAffinity is on', () => {
    expect(affine('host:n2', false)).not.toThrow();
    expect(affine('host:n1', true)).not.toThrow();
    expect(affine('host:n2', true)).toThrow(
      /10\.0\.0\.5 is in block 10\.0\.0\.4\/30 of node n2, and strictAffinity/,
    );
    expect(affine(undefined, true)).toThrow(/of no node/);
  });
});
