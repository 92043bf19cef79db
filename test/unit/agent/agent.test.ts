import { afterEach, expect, it } from 'vitest';
import { nodeKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { AgentWorld } from '../../helpers/agent-world.ts';

let world: AgentWorld;
afterEach(() => world.close());

/** Three nodes, with a pod on the first. Returns the route to the pod's block on the others. */
async function withPod(): Promise<{ pod: string; route: string }> {
  world = await AgentWorld.open(3);
  const { pod, answer } = await world.addPod('n1');
  expect(answer.exitCode).toBe(0);
  await world.pass(5);
  const [route = ''] = world.learned('n2');
  for (const name of ['n1', 'n2', 'n3']) world.takeChanges(name);
  return { pod, route };
}

it('agents of new nodes are ready within seconds, with the cluster’s first pool', async () => {
  world = await AgentWorld.open(3);
  for (const name of ['n1', 'n2', 'n3']) expect((await world.status(name)).notReady).toEqual([]);
  expect(world.cluster.all(ipPoolKind)).toMatchObject([{ spec: { cidr: '10.244.0.0/16' } }]);
});

it('the block of a pod’s address becomes a route on all other nodes', async () => {
  const { route } = await withPod();
  expect(route).toMatch(/^10\.244\.\d+\.\d+\/26 via 10\.0\.0\.1 dev eth0$/);
  expect([world.learned('n1'), world.learned('n2'), world.learned('n3')]).toEqual([[], [route], [route]]);
});

it('a second pod on a node changes nothing on other nodes', async () => {
  await withPod();
  expect((await world.addPod('n1')).answer.exitCode).toBe(0);
  await world.pass(5);
  expect([world.takeChanges('n2'), world.takeChanges('n3')]).toEqual([[], []]);
});

it('a node that joins learns all routes, and a node that leaves loses its own', async () => {
  const { route } = await withPod();
  await world.addNode(4);
  await world.pass(30);
  expect(world.learned('n4')).toEqual([route]);
  expect((await world.addPod('n4')).answer.exitCode).toBe(0);
  await world.pass(5);
  expect(world.learned('n2')).toHaveLength(2);
  await world.stop('n4');
  await world.cluster.remove(nodeKind, 'n4');
  await world.pass(10);
  expect(world.learned('n2')).toEqual([route]);
});

it('a changed address of a node becomes the next hop of its routes', async () => {
  const { route } = await withPod();
  const { kernel } = world.machine('n1');
  kernel.change({ object: 'address', verb: 'add', cidr: '10.0.0.77/24', device: 'eth0' });
  kernel.change({ object: 'address', verb: 'del', cidr: '10.0.0.1/24', device: 'eth0' });
  await world.pass(60);
  expect(world.learned('n2')).toEqual([route.replace('10.0.0.1 ', '10.0.0.77 ')]);
});

it('while the API is away, routes stay and pods wait; afterwards everything continues', async () => {
  const { pod, route } = await withPod();
  world.cluster.isDown = true;
  await world.pass(600);
  expect([world.learned('n2'), world.learned('n3')]).toEqual([[route], [route]]);
  expect((await world.call('n1', 'DEL', pod)).exitCode).toBe(1);
  expect([world.takeChanges('n2'), world.takeChanges('n3')]).toEqual([[], []]);
  world.cluster.isDown = false;
  await world.pass(30);
  expect((await world.call('n1', 'DEL', pod)).exitCode).toBe(0);
  expect((await world.addPod('n2')).answer.exitCode).toBe(0);
  await world.pass(30);
  // Its block, which the agent has from a watch.
  expect(world.learned('n3')).toContainEqual(expect.stringMatching(/^[\d.]+\/26 via 10\.0\.0\.2 dev eth0$/));
});

it('an agent that restarts touches no route, its own or another node’s', async () => {
  const { route } = await withPod();
  await world.addPod('n2');
  await world.pass(5);
  const routes = world.learned('n1');
  for (const name of ['n1', 'n2', 'n3']) world.takeChanges(name);
  await world.stop('n1');
  await world.pass(20);
  await world.start('n1');
  await world.pass(60);
  expect([world.learned('n1'), world.learned('n2')]).toEqual([routes, [route]]);
  for (const name of ['n1', 'n2', 'n3']) expect(world.takeChanges(name)).toEqual([]);
  expect((await world.status('n1')).notReady).toEqual([]);
});

it('an agent that does not come back loses its routes when the restart time is over', async () => {
  const { route } = await withPod();
  await world.stop('n1');
  await world.pass(100);
  expect(world.learned('n2')).toEqual([route]);
  await world.pass(60);
  expect(world.learned('n2')).toEqual([]);
});

it('a changed tunnel mode moves routes into the tunnel and back', async () => {
  const { route } = await withPod();
  const setMode = (ipipMode: string) =>
    world.cluster.patch(ipPoolKind, 'default-ipv4-ippool', { spec: { ipipMode } });
  await setMode('Always');
  await world.pass(60);
  // Each node also has a tunnel address, from a block of its own.
  const inTunnel = world.learned('n2');
  expect(inTunnel).toContain(route.replace('dev eth0', 'dev tunl0'));
  expect(inTunnel.filter((one) => !one.endsWith('dev tunl0'))).toEqual([]);
  expect(world.machine('n2').kernel.network.links.get('tunl0')?.isUp).toBe(true);
  await setMode('Never');
  await world.pass(600);
  expect(world.learned('n2')).toContain(route);
  expect(world.learned('n2').filter((one) => !one.endsWith('dev eth0'))).toEqual([]);
});
