/** Complete speakers: sessions, RIBs and update groups as in production, over a network in memory. */
import { describe, expect, it } from 'vitest';
import { SpeakerWorld } from '../../helpers/speaker-world.ts';

const [A, B, C] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'] as const;
const [R1, R2] = ['10.0.1.1', '10.0.1.2'] as const;
const NET = '10.244.1.0/26';

const settled = (world: SpeakerWorld) => world.nodes.map((node) => world.learned(node));
const wanted = (world: SpeakerWorld) => world.nodes.map((node) => world.expected(node));

describe('speakers in a mesh', () => {
  it('learn each other’s routes and remove withdrawn ones', () => {
    const world = new SpeakerWorld(4);
    for (const [i, node] of world.nodes.entries()) world.originate(node, `10.244.${i}.0/26`);
    world.advance(30);
    expect(settled(world)).toEqual(wanted(world));
    expect(world.learned(A)).toHaveLength(3);
    world.withdraw(B, '10.244.1.0/26');
    world.advance(1);
    expect(world.learned(A)).toEqual([`10.244.2.0/26 via ${C}`, '10.244.3.0/26 via 10.0.0.4']);
    expect(settled(world)).toEqual(wanted(world));
  });

  it('resolve connection collisions: one session per peer remains Established', () => {
    const world = new SpeakerWorld(5, 7);
    world.advance(60);
    for (const node of world.nodes)
      expect(
        world
          .speaker(node)
          .status()
          .map(({ state, flaps }) => [state, flaps]),
      ).toEqual(Array.from({ length: 4 }, () => ['Established', 0]));
  });

  it('keep the routes of a speaker that restarts, and remove those that it no longer has', () => {
    const world = new SpeakerWorld(2);
    world.originate(A, NET);
    world.originate(A, '10.244.2.0/26');
    world.advance(30);
    world.originated.get(A)?.delete('10.244.2.0/26');
    world.start(A);
    expect(world.learned(B)).toHaveLength(2);
    world.advance(60);
    expect(world.learned(B)).toEqual([`${NET} via ${A}`]);
  });

  it('report the end of a session to observers even if a fault prevents its orderly end', () => {
    const world = new SpeakerWorld(2);
    world.advance(30);
    const ends: unknown[] = [];
    world.speaker(A).observe({ message() {}, up() {}, down: (_, end) => ends.push(end) });
    const peer = world.speaker(A).peer(B)!;
    peer.runner.connection!.send = () => {
      throw new Error('planted');
    };
    peer.fault(new Error('planted'));
    expect(ends).toEqual([{ how: 'closed', fsmEvent: 8 }]);
    world.advance(60);
    expect(world.speaker(A).peer(B)?.session.state).toBe('Established');
    world.speaker(A).peer(B)?.fault(new Error('planted'));
    expect(ends).toEqual([ends[0], { how: 'notified', notification: expect.anything() }]);
  });

  it('notice a silent link by the hold time, and remove its routes after the restart time', () => {
    const world = new SpeakerWorld(2);
    world.originate(A, NET);
    world.advance(30);
    world.network.cut(A, B);
    world.advance(60);
    expect(world.speaker(B).peer(A)?.session.state).toBe('Established');
    world.advance(31);
    expect(world.speaker(B).peer(A)?.session.state).not.toBe('Established');
    expect(world.learned(B)).toEqual([`${NET} via ${A}`]);
    world.advance(121);
    expect(world.learned(B)).toEqual([]);
    world.network.heal();
    world.advance(60);
    expect(world.learned(B)).toEqual([`${NET} via ${A}`]);
  });
});

describe('route reflectors', () => {
  it('pass routes between clients that have no session with each other', () => {
    const world = new SpeakerWorld(3);
    world.use('reflectors');
    world.originate(A, NET);
    world.advance(60);
    expect([...world.speaker(B).peers].map(({ config }) => config.address)).toEqual([R1, R2]);
    expect(settled(world)).toEqual(wanted(world));
    world.withdraw(A, NET);
    world.advance(1);
    expect(settled(world)).toEqual([[], [], []]);
  });

  it.each([0, 2, 5])('replace the mesh, and no route is ever missing, if nodes follow %i s apart', (lag) => {
    const world = new SpeakerWorld(4);
    for (const [i, node] of world.nodes.entries()) world.originate(node, `10.244.${i}.0/26`);
    world.advance(150);
    world.use('reflectors', lag);
    for (let tenths = 0; tenths < 600; tenths++) {
      world.advance(0.1);
      expect(settled(world)).toEqual(wanted(world));
    }
    for (const node of world.nodes) expect([...world.speaker(node).peers]).toHaveLength(2);
  });
});

describe('any order of changes', () => {
  /** Applies 150 random changes, then lets everything settle. */
  const simulate = (seed: number) => {
    const world = new SpeakerWorld(4, seed);
    const { time, network, nodes } = world;
    const pick = <T>(list: readonly T[]): T => list[time.below(list.length)]!;
    const prefix = (node: string) => `10.${200 + nodes.indexOf(node)}.${time.below(8)}.0/24`;
    const changes: readonly (() => void)[] = [
      () => {
        const node = pick(nodes);
        world.originate(node, prefix(node));
      },
      () => {
        const node = pick(nodes);
        world.withdraw(node, prefix(node));
      },
      () => network.cut(pick(nodes), pick([...nodes, R1, R2])),
      () => network.heal(),
      () => world.start(pick([...nodes, R1, R2])),
      () => world.use(pick(['mesh', 'reflectors'])),
      () => world.advance(60 * time.random()),
    ];
    for (let change = 0; change < 150; change++) {
      pick(changes)();
      world.advance(5 * time.random() ** 3);
    }
    network.heal();
    world.advance(900);
    return world;
  };

  it.each([1, 2, 3, 4])('leaves every node with the routes of all others (seed %i)', (seed) => {
    const world = simulate(seed);
    expect(settled(world)).toEqual(wanted(world));
  });

  it('is the same run for the same seed, at thousands of steps per second', () => {
    const startedAt = performance.now();
    const first = simulate(9);
    const seconds = (performance.now() - startedAt) / 1000;
    expect(simulate(9).time.steps).toBe(first.time.steps);
    expect(first.time.steps / seconds).toBeGreaterThan(2000);
  });
});
