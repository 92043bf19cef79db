/** Plans one pass: the commands that turn the observed kernel into the desired one. Pure. */
import { planTunnels } from '../../ipip/device-plan.ts';
import type { OwnTunnels } from '../../ipip/devices.ts';
import type { KernelState } from '../../kernel/port.ts';
import { tunnelKinds, tunnels } from '../../model/tunnel.ts';
import { addressCommands } from './addresses.ts';
import type { Batch } from './changes.ts';
import type { DesiredDataplane } from './desired.ts';
import { neighbourCommands } from './neighbours.ts';
import { planRoutes, type RoutePlan } from './route-plan.ts';

export interface PassPlan {
  /** In this order: tunnel devices come before the routes that use them. */
  readonly batches: readonly Batch[];
  readonly routes: RoutePlan;
}

/** `own`: the tunnels, without devices of other programs that have our names. */
export function planPass(desired: DesiredDataplane, kernel: KernelState, own: OwnTunnels): PassPlan {
  const foreign = tunnelKinds.filter((kind) => kind in own.foreign).map((kind) => tunnels[kind].device);
  const routes = planRoutes(desired.routes, kernel.routes, {
    keepLearned: !desired.isLearnedComplete,
    ownAddresses: new Set(kernel.addresses.map(({ cidr }) => cidr.split('/')[0]!)),
    mayReplaceDefault: desired.mayReplaceDefault ?? false,
    hasLink: (name) => !foreign.includes(name) && (kernel.links.get(name)?.isUp ?? false),
    ownership: desired.ownership,
  });
  const { beforeRoutes, afterRoutes } = planTunnels(own.wanted, own.present);
  const neighbours = neighbourCommands(desired.endpoints, kernel);
  return {
    batches: [
      { program: 'ip', commands: [...beforeRoutes.ip, ...addressCommands(desired.addresses, kernel)] },
      { program: 'bridge', commands: beforeRoutes.bridge },
      { program: 'ip', commands: [...routes.commands, ...neighbours, ...afterRoutes.ip] },
      { program: 'bridge', commands: afterRoutes.bridge },
    ],
    routes,
  };
}
