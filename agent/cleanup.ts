/** `cali-node --cleanup`: removes everything that Cali created from a node, and nothing else. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { ownTable } from '../felix/calc/ruleset.ts';
import { planRoutes } from '../felix/dataplane/route-plan.ts';
import { planTunnels } from '../ipip/device-plan.ts';
import { observeTunnels, ownTunnels } from '../ipip/devices.ts';
import { type KernelChange, renderChange } from '../kernel/change.ts';
import { Nftables } from '../kernel/nftables.ts';
import type { Kernel, KernelState } from '../kernel/port.ts';
import type { Log } from '../lib/log.ts';
import { isOwnVeth } from '../model/endpoint.ts';
import { DEFAULT_PROTOCOLS } from '../model/route-protocols.ts';
import type { AgentConfig } from './inputs/environment.ts';
import { ROUTE_NUMBERS_FILE, readRouteNumbers } from './inputs/route-numbers.ts';

/**
 * Removes our interfaces, routes, tunnel devices, nftables table and the files in the run directory. Returns a line for
 * each change, and for each route that version 0.1 or another program may have written.
 */
export async function cleanUp(
  { runDirectory, node }: Pick<AgentConfig, 'runDirectory' | 'node'>,
  kernel: Kernel,
  log: Log,
): Promise<string[]> {
  const state = await kernel.observe([4, 6]);
  const links = ownVeths(state, await kernel.pods.vethNames());
  const routes = unwantedRoutes(runDirectory, state, links, log);
  const { present, foreign } = ownTunnels(node, [], await observeTunnels(state, kernel));
  const changes: KernelChange[] = [
    ...links.map((name) => ({ object: 'link', verb: 'del', name }) as const),
    ...routes.changes,
    ...planTunnels([], present).afterRoutes,
  ];
  const errors = await kernel.apply(changes);
  await new Nftables(ownTable, kernel.nft).remove();
  for (const name of ['endpoints', 'cali.sock', 'cni.sock', ROUTE_NUMBERS_FILE])
    await rm(path.join(runDirectory, name), { recursive: true, force: true });
  const failed = new Map(errors.map(({ change, message }) => [change, message]));
  return [
    ...changes.map(
      (change) => `${renderChange(change)}${failed.has(change) ? `: ${failed.get(change)}` : ''}`,
    ),
    ...Object.values(foreign).map((reason) => `kept: ${reason}`),
    ...routes.left.map(
      ({ destination, protocol }) =>
        `kept: route ${destination} proto ${protocol}, added by version 0.1 or another program`,
    ),
  ];
}

/** Returns the host sides of pods' veths, by name, MAC and kind. Other programs' devices with such names stay. */
function ownVeths({ links }: KernelState, veths: ReadonlySet<string>): string[] {
  return [...links.values()]
    .filter((link) => isOwnVeth(link) && veths.has(link.name))
    .map(({ name }) => name);
}

/** Plans with no desired routes, which removes ours. Routes on our interfaces disappear with the interfaces. */
function unwantedRoutes(runDirectory: string, { routes }: KernelState, links: readonly string[], log: Log) {
  const { current, former } = readRouteNumbers(runDirectory, log);
  const others = routes.filter(
    ({ hops }) => !hops.some(({ device }) => device !== undefined && links.includes(device)),
  );
  return planRoutes([], others, {
    keepLearned: false,
    hasLink: () => false,
    ownership: { protocols: current ?? DEFAULT_PROTOCOLS, former, ranges: [] },
  });
}
