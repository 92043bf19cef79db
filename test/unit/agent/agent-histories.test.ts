/** Random histories of a few nodes. A seed gives the same history again. */
import { expect, it } from 'vitest';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { type IPAMBlock, ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { allocationsOf } from '../../../ipam/block.ts';
import { AgentWorld } from '../../helpers/agent-world.ts';

const NODES = ['n1', 'n2', 'n3', 'n4'];
const SEEDS = [1, 2, 3];
const EVENTS = 20;
/** Longer than restart, deferral and tunnel hand-over times. */
const QUIET_SECONDS = 400;

/** Pods by name, with the node of each. */
type Pods = Map<string, string>;

async function act(world: AgentWorld, pods: Pods): Promise<void> {
  const { time, cluster, network } = world;
  const pick = <T>(list: readonly T[]): T => list[time.below(list.length)]!;
  const node = pick(NODES);
  switch (time.below(8)) {
    case 0:
    case 1: {
      // Nobody can create a Pod.
      if (cluster.isDown) return;
      const { pod } = await world.addPod(node);
      pods.set(pod, node);
      return;
    }
    case 2: {
      const pod = pick([...pods.keys()]);
      // A call may fail while the agent or the API is away: the runtime repeats it at the end.
      if (pod) await world.call(pods.get(pod) ?? node, 'DEL', pod);
      return;
    }
    case 3:
      return world.restart(node);
    case 4:
      cluster.isDown = time.below(2) === 0;
      return;
    case 5:
      if (time.below(2) === 0) network.heal();
      else network.cut(world.machine(node).address, world.machine(pick(NODES)).address);
      return;
    case 6:
      cluster.isDown = false;
      await cluster.patch(ipPoolKind, 'default-ipv4-ippool', {
        spec: { ipipMode: pick(['Always', 'Never', 'CrossSubnet']) },
      });
      return;
    default:
      // Another program removes all learned routes of a node.
      for (const { destination, protocol, type } of world.machine(node).kernel.network.routes)
        if (protocol === 162 && type === 'unicast')
          world.machine(node).kernel.change({
            ...{ object: 'route', verb: 'del', destination, type, protocol, hops: [] },
          });
  }
}

/** Makes everything reachable, removes the pods of failed calls, and waits. */
async function settle(world: AgentWorld, pods: Pods): Promise<void> {
  world.cluster.isDown = false;
  world.network.heal();
  await world.pass(60);
  for (const [pod, node] of pods) {
    const { exitCode } = await world.call(node, 'CHECK', pod);
    if (exitCode === 0) continue;
    expect((await world.call(node, 'DEL', pod)).exitCode).toBe(0);
    pods.delete(pod);
  }
  await world.pass(QUIET_SECONDS);
}

const blocksOf = (world: AgentWorld) => world.cluster.all(ipamBlockKind) as unknown as IPAMBlock[];

/** Blocks of other nodes, which a node must have learned. */
function expectedAt(world: AgentWorld, node: string): string[] {
  return blocksOf(world)
    .filter(({ spec }) => spec.affinity && spec.affinity !== `host:${node}`)
    .map(({ spec }) => spec.cidr)
    .sort();
}

it.each(SEEDS)('after any history all nodes have the routes of all blocks (seed %i)', async (seed) => {
  const world = await AgentWorld.open(NODES.length, seed);
  try {
    const pods: Pods = new Map();
    for (let event = 0; event < EVENTS; event++) {
      await act(world, pods);
      await world.pass(world.time.below(60));
    }
    await settle(world, pods);
    for (const node of NODES) {
      expect((await world.status(node)).notReady, node).toEqual([]);
      const learned = world.learned(node).map((route) => route.split(' ')[0]);
      expect(learned, node).toEqual(expectedAt(world, node));
    }
    const addresses = blocksOf(world).flatMap(({ spec }) => allocationsOf(spec));
    const ofPods = addresses.filter(({ handleId }) => handleId?.startsWith('k8s-pod-network.'));
    expect(ofPods.map(({ handleId }) => handleId).sort()).toEqual(
      [...pods.keys()].map((pod) => `k8s-pod-network.${pod}`).sort(),
    );
    // Another quiet time changes nothing.
    for (const node of NODES) world.takeChanges(node);
    await world.pass(QUIET_SECONDS);
    for (const node of NODES) expect(world.takeChanges(node), node).toEqual([]);
  } finally {
    await world.close();
  }
});
