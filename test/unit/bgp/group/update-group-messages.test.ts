import { describe, expect, it, vi } from 'vitest';
import type { GroupSpec } from '../../../../bgp/group/spec.ts';
import { UpdateGroup } from '../../../../bgp/group/update-group.ts';
import { listenerSpec as spec } from '../../../helpers/relay.ts';
import { failOnFault, someAttributes, TestRib } from '../../../helpers/rib.ts';
import { Receiver } from '../../../helpers/table-receiver.ts';

describe('what an update group sends', () => {
  const send = (change: Partial<GroupSpec>, attributes = {}, isIbgpSource = true) => {
    const rib = new TestRib();
    const from = rib.source('10.0.0.1', { isIbgp: isIbgpSource });
    rib.announce(from, '10.1.0.0/16', attributes);
    rib.rib.decideChanged();
    const group = new UpdateGroup({ ...spec, ...change }, rib.rib, failOnFault);
    const receiver = new Receiver(rib.source('10.0.0.2'), false, change.isIbgp ?? true);
    group.join(receiver);
    group.step();
    expect(receiver.ends).toEqual(['initial']);
    return { update: receiver.updates[0], refusal: group.refusal(receiver, 0) };
  };

  it('a reflected route is unchanged but for ORIGINATOR_ID and CLUSTER_LIST (RFC 4456 section 8)', () => {
    const { update } = send({}, { med: 7, communities: [1, 2], clusterList: ['3.3.3.3'] });
    expect(update!.attributes).toEqual({
      ...someAttributes,
      med: 7,
      communities: [1, 2],
      originatorId: '10.0.0.1',
      clusterList: ['10.10.10.10', '3.3.3.3'],
    });
    expect(send({}, { originatorId: '4.4.4.4' }).update!.attributes!.originatorId).toBe('4.4.4.4');
  });

  it('an external peer gets our AS prepended, our next hop, and no internal attributes', () => {
    const external = { isIbgp: false, isClient: false };
    const { update } = send(external, { med: 7, originatorId: '4.4.4.4', clusterList: ['3.3.3.3'] });
    expect(update!.attributes).toEqual({
      origin: 0,
      asPath: [{ type: 2, asNumbers: [64512, 65001, 65002] }],
      nextHop: '10.9.9.9',
    });
    expect(send({ ...external, nextHopMode: 'Keep' }).update!.attributes!.nextHop).toBe('10.0.0.1');
    expect(send({ ...external, addsOtc: true }).update!.attributes!.onlyToCustomer).toBe(64512);
  });

  it.each<[string, Partial<GroupSpec>, object, RegExp]>([
    [
      'a route from iBGP to iBGP without reflection',
      { clusterId: 0 },
      {},
      /not advertised to internal peers/,
    ],
    ['a route with NO_ADVERTISE (RFC 1997)', {}, { communities: [0xffffff02] }, /NO_ADVERTISE/],
    ['NO_EXPORT', { isIbgp: false }, { communities: [0xffffff01] }, /NO_EXPORT/],
    ['a route with OTC to a provider', { isIbgp: false, refusesOtc: true }, { onlyToCustomer: 1 }, /OTC/],
    ['a long-lived stale route', {}, { communities: [0xffff0006] }, /RFC 9494/],
    ['a route with an IPv6 next hop', {}, { nextHop: 'fd00::1' }, /RFC 8950/],
  ])('%s is not sent, with a reason', (_, change, attributes, reason) => {
    const { update, refusal } = send(change, attributes);
    expect(update).toBeUndefined();
    expect(refusal).toMatch(reason);
  });

  it('prefixes with the same attributes share messages of at most 4,096 octets', () => {
    const rib = new TestRib();
    const from = rib.source('10.0.0.1');
    for (let i = 0; i < 3000; i++) rib.announce(from, `10.${i >> 8}.${i & 255}.0/24`);
    const group = new UpdateGroup(spec, rib.rib, failOnFault);
    const receiver = new Receiver(rib.source('10.0.0.2'));
    rib.rib.decideChanged();
    group.flush(
      Int32Array.from({ length: 3000 }, (_, index) => index),
      new Int32Array(),
    );
    group.join(receiver);
    for (let i = 0; i < 5; i++) group.step();
    expect(receiver.table.size).toBe(3000);
    expect(receiver.updates.length).toBe(3);
    expect(group.countFor(receiver)).toBe(3000);
  });
});

describe('a route that this speaker fails to advertise', () => {
  const prefixes = ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16'];

  const world = (policy?: GroupSpec['policy']) => {
    const rib = new TestRib();
    const from = rib.source('10.0.0.1');
    for (const [index, prefix] of prefixes.entries()) rib.announce(from, prefix, { med: index });
    const faults: unknown[] = [];
    const group = new UpdateGroup({ ...spec, policy }, rib.rib, (error) => faults.push(error));
    const receiver = new Receiver(rib.source('10.0.0.2'));
    group.join(receiver);
    group.step();
    const flush = () => group.flush(rib.rib.decideChanged(), new Int32Array());
    return { rib, from, group, receiver, faults, flush };
  };

  it('is withdrawn when it cannot be encoded, and its neighbours in the table are advertised', () => {
    const { rib, from, group, receiver, faults, flush } = world();
    flush();
    expect([...receiver.table.keys()]).toEqual(prefixes);
    const write = rib.rib.prefixes.write.bind(rib.rib.prefixes);
    let isBroken = true;
    vi.spyOn(rib.rib.prefixes, 'write').mockImplementation((row, out, at) => {
      // Only the first write fails: the withdrawal of the same prefix succeeds.
      if (row === 1 && isBroken) {
        isBroken = false;
        throw new Error('no such row');
      }
      return write(row, out, at);
    });
    for (const [index, prefix] of prefixes.entries()) rib.announce(from, prefix, { med: 10 + index });
    flush();
    expect([...receiver.table.entries()]).toEqual([
      ['10.1.0.0/16', expect.stringMatching(/^10 /)],
      ['10.3.0.0/16', expect.stringMatching(/^12 /)],
    ]);
    expect(faults).toEqual([new Error('no such row')]);
    expect(group.refusal(receiver, 1)).toBe('internal fault: no such row');
    expect([group.count, group.countFor(receiver)]).toEqual([2, 2]);
    rib.announce(from, '10.2.0.0/16', { med: 21 });
    flush();
    expect(receiver.table.get('10.2.0.0/16')).toMatch(/^21 /);
    expect(group.refusal(receiver, 1)).toBeUndefined();
    rib.rib.drop(from, 'all');
    flush();
    expect([receiver.table.size, group.count, rib.attributes.size]).toEqual([0, 0, 0]);
  });

  it('is held back alone when its export policy throws', () => {
    const { receiver, faults, flush } = world({
      key: 'throws for one prefix',
      apply({ prefix, attributes }) {
        if (prefix === '10.2.0.0/16') throw new Error('no such filter');
        return { isAccepted: true, attributes };
      },
    });
    flush();
    expect([...receiver.table.keys()]).toEqual(['10.1.0.0/16', '10.3.0.0/16']);
    expect(faults).toEqual([new Error('no such filter')]);
  });
});
