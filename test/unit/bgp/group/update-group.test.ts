/**
 * No update is ever lost. Sessions come up, stop reading, request a refresh and end in any order while routes change.
 * Each member's table, built from the bytes sent to it, must be the expected one.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UpdateGroup } from '../../../../bgp/group/update-group.ts';
import { PathFlag } from '../../../../bgp/rib/path-table.ts';
import { listenerSpec as spec } from '../../../helpers/relay.ts';
import { failOnFault, type someAttributes, TestRib } from '../../../helpers/rib.ts';
import { Receiver } from '../../../helpers/table-receiver.ts';

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
