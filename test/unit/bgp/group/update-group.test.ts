/**
 * No update is ever lost. Sessions come up, stop reading, request a refresh and end in any order while routes change.
 * Each member's table, built from the bytes sent to it, must be the expected one.
 */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { Member, SyncPurpose } from '../../../../bgp/group/member.ts';
import type { GroupSpec } from '../../../../bgp/group/spec.ts';
import { UpdateGroup } from '../../../../bgp/group/update-group.ts';
import { PathFlag } from '../../../../bgp/rib/path-table.ts';
import { Framer } from '../../../../bgp/wire/framer.ts';
import type { Nlri } from '../../../../bgp/wire/nlri.ts';
import { decodeUpdate, type UpdateMessage } from '../../../../bgp/wire/update.ts';
import { listenerSpec as spec } from '../../../helpers/relay.ts';
import { failOnFault, someAttributes, TestRib } from '../../../helpers/rib.ts';

/** A peer that builds its table from the bytes sent to it. */
class Receiver implements Member {
  readonly source: number;
  readonly table = new Map<string, string>();
  readonly updates: UpdateMessage[] = [];
  readonly #hasAddPath: boolean;
  queued = 0;
  ends: SyncPurpose[] = [];
  /** Every refresh that began (BoRR) has ended (EoRR). */
  isRefreshed = true;

  readonly #isIbgp: boolean;

  constructor(source: number, hasAddPath = false, isIbgp = true) {
    this.source = source;
    this.#isIbgp = isIbgp;
    this.#hasAddPath = hasAddPath;
  }

  send(bytes: Uint8Array): void {
    new Framer().push(bytes, ({ body }) => {
      const context = {
        isFourOctetAs: true,
        isIbgp: this.#isIbgp,
        addPath: this.#hasAddPath ? [4 as const] : [],
      };
      const update = decodeUpdate(body, context);
      expect(update.faults).toEqual([]);
      this.updates.push(update);
      for (const route of update.withdrawn) this.table.delete(keyOf(route));
      for (const route of update.nlri)
        this.table.set(keyOf(route), `${update.attributes!.med} from ${update.attributes!.originatorId}`);
      return true;
    });
  }

  counted(): void {}
  syncBegins(purpose: SyncPurpose): void {
    if (purpose === 'refresh') this.isRefreshed = false;
  }
  syncEnds(purpose: SyncPurpose): void {
    this.ends.push(purpose);
    if (purpose === 'refresh') this.isRefreshed = true;
  }
}

const keyOf = ({ prefix, pathId }: Nlri) => (pathId === undefined ? prefix : `${prefix} ${pathId}`);

type Operation =
  | { type: 'announce' | 'withdraw'; source: number; prefix: number; med: number }
  | { type: 'drop'; source: number }
  | { type: 'turn' | 'step' }
  | { type: 'join' | 'leave' | 'stop reading' | 'read' | 'refresh' | 'move'; member: number };

const SOURCES = 4;
const PREFIXES = 6;
const source = fc.nat(SOURCES - 1);
const member = fc.nat(SOURCES - 1);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('announce' as const),
      source,
      prefix: fc.nat(PREFIXES - 1),
      med: fc.nat(3),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('withdraw' as const),
      source,
      prefix: fc.nat(PREFIXES - 1),
      med: fc.constant(0),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('drop' as const), source }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constantFrom('turn' as const, 'step' as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constantFrom(
        'join' as const,
        'leave' as const,
        'stop reading' as const,
        'read' as const,
        'refresh' as const,
        'move' as const,
      ),
      member,
    }),
  },
);

const STUCK = 100 << 20;

/** Runs operations as the speaker does, and returns what each member holds and should hold. */
class World {
  readonly rib = new TestRib();
  readonly sources = Array.from({ length: SOURCES }, (_, index) => this.rib.source(`10.0.0.${index + 1}`));
  readonly groups: UpdateGroup[];
  readonly members = new Map<number, { receiver: Receiver; group: number }>();
  readonly #hasAddPath: boolean;

  constructor(hasAddPath: boolean) {
    this.#hasAddPath = hasAddPath;
    this.rib.rib.tracksPaths = hasAddPath;
    // The second group advertises only part of the routes.
    this.groups = [
      new UpdateGroup({ ...spec, hasAddPath }, this.rib.rib, failOnFault),
      new UpdateGroup({ ...spec, hasAddPath, policy: onlyEven }, this.rib.rib, failOnFault),
    ];
  }

  run(one: Operation): void {
    switch (one.type) {
      case 'announce':
        this.rib.announce(this.sources[one.source]!, prefixText(one.prefix), { med: one.med });
        break;
      case 'withdraw':
        this.rib.withdraw(this.sources[one.source]!, prefixText(one.prefix));
        break;
      case 'drop':
        this.rib.rib.drop(this.sources[one.source]!, 'all');
        break;
      case 'turn':
        this.turn();
        break;
      case 'step':
        for (const group of this.groups) group.step();
        break;
      default:
        this.#membership(one.type, one.member);
    }
  }

  turn(): void {
    const { rib } = this.rib;
    const prefixes = rib.decideChanged();
    for (const group of this.groups) group.flush(prefixes, rib.touchedPaths());
    rib.endTurn(this.groups.every(({ isComplete }) => isComplete));
    for (const group of this.groups) group.step();
  }

  #membership(type: 'join' | 'leave' | 'stop reading' | 'read' | 'refresh' | 'move', index: number): void {
    const active = this.members.get(index);
    if (type === 'join') {
      if (active) return;
      const receiver = new Receiver(this.sources[index]!, this.#hasAddPath);
      this.members.set(index, { receiver, group: 0 });
      this.groups[0]!.join(receiver);
      return;
    }
    if (!active) return;
    const { receiver } = active;
    const group = this.groups[active.group]!;
    if (type === 'leave') {
      group.leave(receiver);
      this.members.delete(index);
    } else if (type === 'stop reading') receiver.queued = STUCK;
    else if (type === 'read') {
      receiver.queued = 0;
      group.resume(receiver);
    } else if (type === 'refresh') group.refresh(receiver);
    else {
      active.group = 1 - active.group;
      // A group is created for its first member, possibly in the middle of a turn.
      if (this.groups[active.group]!.isEmpty) {
        const { spec: same } = this.groups[active.group]!;
        this.groups[active.group]!.dispose();
        this.groups[active.group] = new UpdateGroup(same, this.rib.rib, failOnFault);
      }
      this.groups[active.group]!.takeOver(receiver, group);
    }
  }

  /** Lets every member read until no work is left. */
  settle(): void {
    for (const { receiver, group } of this.members.values()) {
      receiver.queued = 0;
      this.groups[group]!.resume(receiver);
    }
    for (let turns = 0; turns < 20; turns++) this.turn();
  }

  expected(index: number): Map<string, string> {
    const { rib } = this.rib;
    const { group } = this.members.get(index)!;
    const table = new Map<string, string>();
    for (let number = 0; number < PREFIXES; number++) {
      if (group === 1 && number % 2 === 1) continue;
      const row = rib.prefixes.findText(prefixText(number));
      if (row < 0) continue;
      const paths = [...rib.pathsTo(row)].filter((path) => !(rib.paths.flags[path]! & PathFlag.DEAD));
      const advertised = this.#hasAddPath ? paths : paths.filter((path) => path === rib.best[row]);
      for (const path of advertised) {
        const from = rib.paths.source[path]!;
        if (from === this.sources[index]) continue;
        const key = this.#hasAddPath ? `${prefixText(number)} ${path + 1}` : prefixText(number);
        const med = rib.attributes.med[rib.paths.attributes[path]!];
        table.set(key, `${med} from ${rib.sources.at(from).address}`);
      }
    }
    return table;
  }
}

const prefixText = (number: number) => `10.${number}.0.0/16`;
const onlyEven = {
  key: 'only even',
  apply: ({ prefix, attributes }: { prefix: string; attributes: typeof someAttributes }) =>
    Number(prefix.split('.')[1]) % 2 === 0
      ? { isAccepted: true as const, attributes }
      : { isAccepted: false as const, reason: 'odd' },
};

/** Moves a member to a group created in the middle of a turn, and back to one that has not seen the route yet. */
const movedTwiceInATurn: Operation[] = [
  { type: 'join', member: 2 },
  { type: 'announce', source: 0, prefix: 0, med: 0 },
  { type: 'move', member: 2 },
  { type: 'step' },
  { type: 'join', member: 0 },
  { type: 'move', member: 2 },
  { type: 'withdraw', source: 0, prefix: 0, med: 0 },
];

describe.each([false, true])('an update group (add-path, RFC 7911: %s)', (hasAddPath) => {
  it('loses no update in any interleaving', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 10, maxLength: 120 }), (operations) => {
        const world = new World(hasAddPath);
        for (const one of operations) world.run(one);
        world.settle();
        for (const [index, { receiver, group }] of world.members) {
          expect(receiver.table).toEqual(world.expected(index));
          expect(world.groups[group]!.isLive(receiver)).toBe(true);
          // One End-of-RIB, and an EoRR after the last BoRR, whichever groups the member was in.
          expect(receiver.ends.filter((purpose) => purpose === 'initial')).toHaveLength(1);
          expect(receiver.isRefreshed).toBe(true);
        }
      }),
      { numRuns: 2000, examples: [[movedTwiceInATurn]] },
    );
  });

  it('releases every attribute set when all routes are withdrawn', () => {
    const world = new World(hasAddPath);
    for (let index = 0; index < SOURCES; index++) world.run({ type: 'join', member: index });
    for (let i = 0; i < 50; i++)
      world.run({ type: 'announce', source: i % SOURCES, prefix: i % PREFIXES, med: i });
    world.turn();
    for (let index = 0; index < SOURCES; index++) world.run({ type: 'drop', source: index });
    world.settle();
    for (const group of world.groups) group.dispose();
    expect([world.rib.attributes.size, world.rib.rib.prefixes.size, world.rib.rib.paths.size]).toEqual([
      0, 0, 0,
    ]);
  });
});

it('a group that is created right after a best path disappears does not use that path', () => {
  const rib = new TestRib();
  const from = rib.source('10.0.0.1');
  rib.announce(from, '10.1.0.0/16');
  rib.decide();
  rib.rib.drop(from, 'all');
  const group = new UpdateGroup(spec, rib.rib, failOnFault);
  expect(group.count).toBe(0);
  group.flush(rib.rib.decideChanged(), new Int32Array());
  expect([group.count, rib.attributes.size]).toEqual([0, 0]);
});

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
