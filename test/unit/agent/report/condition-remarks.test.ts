import { expect, it } from 'vitest';
import { remarksAbout } from '../../../../agent/report/condition-remarks.ts';
import { readObject } from '../../../../datastore/read-object.ts';
import { ipReservationKind } from '../../../../datastore/schema/ipam.ts';

const stored = {
  apiVersion: 'projectcalico.org/v3',
  kind: 'IPReservation',
  metadata: { name: 'routers' },
  spec: { reservedCIDRs: ['10.0.1.0/33', '10.0.2.1-10.0.2.9', '10.0.3.7'] },
};

it('a reservation that is stored with an invalid entry is named, and its other entries stay reserved', () => {
  const { object, problem } = readObject(ipReservationKind, stored);
  expect(object?.spec.reservedCIDRs).toEqual(['10.0.3.7']);
  expect(remarksAbout([{ kind: 'IPReservation', name: 'routers', ...problem! }])).toEqual([
    'IPReservation routers: spec.reservedCIDRs[0]: "10.0.1.0/33" is neither an address nor a network: write 10.0.0.7, or 10.0.0.0/24 with a prefix length of 0 to 32 (IPv4) or 0 to 128 (IPv6); the other elements are used',
  ]);
});

it('kinds with their own condition are left out, and remarks beyond the limit are counted', () => {
  const problem = (kind: string, name: string) => ({ kind, name, reason: 'r' });
  expect(remarksAbout([problem('IPPool', 'p'), problem('Pod', 'q')])).toEqual([]);
  const many = Array.from({ length: 7 }, (_, i) => problem('BGPFilter', `f${i}`));
  expect(remarksAbout(many)).toHaveLength(6);
  expect(remarksAbout(many).at(-1)).toBe('2 more objects cannot be used as stored');
});
