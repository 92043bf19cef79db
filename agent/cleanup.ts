/** `cali-node --cleanup`: takes everything of ours off a node, and nothing else. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { runBatch } from '../felix/dataplane/ip-batch.ts';
import { observeKernel } from '../felix/dataplane/kernel.ts';
import { Nftables } from '../felix/dataplane/nftables.ts';
import { planRoutes } from '../felix/dataplane/route-plan.ts';
import { observeTunnels } from '../felix/dataplane/tunnel-devices.ts';
import { INTERFACE_PREFIX } from '../felix/endpoint.ts';
import { planTunnels } from '../ipip/device-plan.ts';

/**
 * Removes `cali*` interfaces, routes of our protocols, tunnel devices, our nftables table and the run directory's files;
 * returns a line for each command of ip.
 */
export async function cleanUp(runDirectory: string): Promise<string[]> {
  const kernel = await observeKernel([4, 6]);
  const links = [...kernel.links.keys()]
    .filter((name) => name.startsWith(INTERFACE_PREFIX))
    .map((name) => `link del dev ${name}`);
  // Nothing is wanted: the plan is to remove what is ours. Routes on the interfaces go with them.
  const routes = planRoutes(
    [],
    kernel.routes.filter(({ hops }) => !hops.some(({ device }) => device?.startsWith(INTERFACE_PREFIX))),
    {
      keepLearned: false,
      hasLink: () => false,
    },
  ).commands;
  const tunnels = planTunnels([], await observeTunnels(kernel)).afterRoutes.ip;
  const commands = [...links, ...routes, ...tunnels];
  const errors = await runBatch(commands);
  await new Nftables().apply([]);
  for (const name of ['endpoints', 'cali.sock', 'cni.sock'])
    await rm(path.join(runDirectory, name), { recursive: true, force: true });
  const failed = new Map(errors.map(({ command, message }) => [command, message]));
  return commands.map((command) => `${command}${failed.has(command) ? `: ${failed.get(command)}` : ''}`);
}
