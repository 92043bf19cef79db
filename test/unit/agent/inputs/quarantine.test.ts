import { describe, expect, it } from 'vitest';
import { type ClusterObjects, NO_OBJECTS } from '../../../../agent/inputs/cluster.ts';
import { Quarantine } from '../../../../agent/inputs/quarantine.ts';
import { bgpPeerKind } from '../../../../datastore/schema/bgp-peer.ts';
import { nodeKind } from '../../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../../datastore/schema/ip-pool.ts';
import { Boundary } from '../../../../lib/boundary.ts';
import { type Log, silentLog } from '../../../../lib/log.ts';
import { systemTime } from '../../../../lib/time.ts';

const node = (name: string) => nodeKind.schema.parse({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
const pool = (name: string, cidr: string, resourceVersion = '1') =>
  ipPoolKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name, resourceVersion },
    spec: { cidr },
  });
const peer = (name: string) =>
  bgpPeerKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'BGPPeer',
    metadata: { name },
    spec: { peerIP: '10.0.0.1', asNumber: 7 },
  });
/** A faulty calculation: it throws for pools in 10.66/16 and for peers named bad. */
const calculate = ({ IPPool, BGPPeer }: ClusterObjects) => {
  if (IPPool.some(({ spec }) => spec.cidr.startsWith('10.66.'))) throw new Error('sixty-six');
  if (BGPPeer.some(({ metadata }) => metadata.name === 'bad')) throw new Error('bad peer');
};
const names = ({ IPPool, BGPPeer }: ClusterObjects) =>
  [...IPPool, ...BGPPeer].map(({ metadata }) => metadata.name);

describe('an object that makes a calculation throw', () => {
  it('is excluded until its next version and named, and other objects stay in use', () => {
    const quarantine = new Quarantine('n1', silentLog, systemTime);
    const before = {
      ...NO_OBJECTS,
      IPPool: [pool('a', '10.1.0.0/16'), pool('b', '10.66.0.0/16')],
      BGPPeer: [peer('bad'), peer('good')],
    };
    expect(quarantine.investigate(before, calculate)).toBe(true);
    expect(names(quarantine.filter(before))).toEqual(['a', 'good']);
    expect(
      quarantine.problems().map(({ problem }) => `${problem.kind} ${problem.name}: ${problem.reason}`),
    ).toEqual([
      'IPPool b: it makes a calculation fail (sixty-six); the object is ignored',
      'BGPPeer bad: it makes a calculation fail (bad peer); the object is ignored',
    ]);
    const after = { ...before, IPPool: [before.IPPool[0]!, pool('b', '10.2.0.0/16', '2')] };
    const filtered = quarantine.filter(after);
    expect(names(filtered)).toEqual(['a', 'b', 'good']);
    quarantine.passed(after, filtered);
    expect(quarantine.problems().map(({ problem }) => problem.name)).toEqual(['bad']);
  });

  it('is replaced by its last version that did not throw', () => {
    const quarantine = new Quarantine('n1', silentLog, systemTime);
    const first = { ...NO_OBJECTS, IPPool: [pool('a', '10.1.0.0/16')] };
    quarantine.passed(first, quarantine.filter(first));
    const second = { ...NO_OBJECTS, IPPool: [pool('a', '10.66.0.0/16', '2')] };
    expect(quarantine.investigate(second, calculate)).toBe(true);
    expect(quarantine.filter(second).IPPool).toEqual(first.IPPool);
    expect(quarantine.problems()[0]).toMatchObject({ isAbsent: false });
    // Without new problems, nothing is recalculated.
    expect(quarantine.investigate(second, calculate)).toBe(false);
    quarantine.passed(second, quarantine.filter(second));
    quarantine.passed(NO_OBJECTS, quarantine.filter(NO_OBJECTS));
    expect(quarantine.problems()).toEqual([]);
  });

  it('is excluded completely when its former version has started to throw as well', () => {
    const quarantine = new Quarantine('n1', silentLog, systemTime);
    const first = { ...NO_OBJECTS, IPPool: [pool('a', '10.1.0.0/16')] };
    quarantine.passed(first, first);
    const second = { ...NO_OBJECTS, IPPool: [pool('a', '10.66.0.0/16', '2')] };
    quarantine.investigate(second, calculate);
    const strict = (objects: ClusterObjects) => {
      if (objects.IPPool.length > 0) throw new Error('no pool at all');
    };
    expect(quarantine.investigate(second, strict)).toBe(true);
    expect(quarantine.filter(second).IPPool).toEqual([]);
  });

  it("is never this node's own Node: the last good state is kept instead", () => {
    const quarantine = new Quarantine('n1', silentLog, systemTime);
    const objects = { ...NO_OBJECTS, Node: [node('n1'), node('n2')] };
    const fails = ({ Node }: ClusterObjects) => {
      if (Node.some(({ metadata }) => metadata.name === 'n1')) throw new Error('me');
    };
    expect(quarantine.investigate(objects, fails)).toBe(false);
    expect(quarantine.filter(objects)).toBe(objects);
  });

  it('is found among hundreds of others, with bounded work per turn', () => {
    const quarantine = new Quarantine('n1', silentLog, systemTime);
    const IPPool = Array.from({ length: 300 }, (_, i) =>
      pool(`p${i}`, i % 3 ? `10.1.${i % 256}.0/24` : '10.66.0.0/16'),
    );
    const objects = { ...NO_OBJECTS, IPPool };
    let tries = 0;
    const counted = (some: ClusterObjects) => {
      tries++;
      calculate(some);
    };
    let turns = 0;
    for (; quarantine.investigate(objects, counted); tries = 0, turns++)
      expect(tries).toBeLessThanOrEqual(401);
    expect(turns).toBeGreaterThan(1);
    expect(quarantine.problems()).toHaveLength(100);
    expect(quarantine.filter(objects).IPPool).toHaveLength(200);
  });

  it('is searched for within a bounded time per turn, and each turn finds one', () => {
    let now = 0;
    const quarantine = new Quarantine('n1', silentLog, { now: () => now });
    const objects = {
      ...NO_OBJECTS,
      BGPPeer: [peer('bad'), peer('good')],
      IPPool: [pool('b', '10.66.0.0/16')],
    };
    const slow = (some: ClusterObjects) => {
      now += 1000;
      calculate(some);
    };
    expect(quarantine.investigate(objects, slow)).toBe(true);
    expect(names(quarantine.filter(objects))).toEqual(['bad', 'good']);
    expect(quarantine.investigate(objects, slow)).toBe(true);
    expect(names(quarantine.filter(objects))).toEqual(['good']);
  });

  it('is searched for again only when an object or the reason changes', () => {
    const quarantine = new Quarantine('n1', silentLog, systemTime);
    const objects = {
      ...NO_OBJECTS,
      IPPool: Array.from({ length: 50 }, (_, i) => pool(`p${i}`, '10.1.0.0/16')),
    };
    let tries = 0;
    let reason = 'whatever there is';
    const fails = () => {
      tries++;
      throw new Error(reason);
    };
    const triesOf = (some: ClusterObjects) => {
      tries = 0;
      expect(quarantine.investigate(some, fails)).toBe(false);
      return tries;
    };
    expect(triesOf(objects)).toBeGreaterThan(1);
    expect(triesOf({ ...objects, IPPool: [...objects.IPPool] })).toBe(1);
    expect(triesOf({ ...objects, BGPPeer: [peer('good')] })).toBeGreaterThan(1);
    expect(triesOf({ ...objects, BGPPeer: [peer('good')] })).toBeGreaterThan(1);
    reason = 'another one';
    expect(triesOf(objects)).toBeGreaterThan(1);
  });
});

describe('an error boundary', () => {
  it('logs a fault once with its stack, reports it while it lasts, and lets the other stages run', () => {
    const logged: object[] = [];
    const log: Log = { ...silentLog, error: (fields) => void logged.push(fields) };
    const boundary = new Boundary(log);
    const fault = new Error('broken');
    const fail = () => {
      throw fault;
    };
    expect([
      boundary.run('tunnels', fail),
      boundary.run('tunnels', fail),
      boundary.run('BGP', () => {}),
    ]).toEqual([false, false, true]);
    expect(logged).toEqual([{ stage: 'tunnels', err: fault }]);
    expect(boundary.faults()).toEqual(['tunnels has failed since the start: broken']);
    boundary.run('tunnels', () => {});
    expect(boundary.faults()).toEqual([]);
    boundary.run('tunnels', fail);
    expect(boundary.faults()).toEqual(['tunnels failed, and its last good state stays in force: broken']);
  });

  it('lists the required stages that have never succeeded', () => {
    const boundary = new Boundary(silentLog);
    const fail = () => {
      throw new Error('broken');
    };
    for (const stage of ['routes', 'Events']) boundary.run(stage, fail);
    boundary.run('BGP', () => {});
    boundary.run('BGP', fail);
    const stages = ['BGP', 'routes', 'tunnels'];
    expect(boundary.withoutState(stages)).toEqual(['routes has failed since the start: broken']);
    boundary.run('routes', () => {});
    boundary.run('routes', fail);
    expect(boundary.withoutState(stages)).toEqual([]);
  });
});
