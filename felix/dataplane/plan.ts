/** Plans one pass: the changes that turn the observed kernel into the desired one. Pure. */
import { planTunnels } from '../../ipip/device-plan.ts';
import type { OwnTunnels } from '../../ipip/devices.ts';
import type { KernelChange } from '../../kernel/change.ts';
import type { KernelState } from '../../kernel/port.ts';
import { tunnelKinds, tunnels } from '../../model/tunnel.ts';
import { planAddresses } from './addresses.ts';
import type { DesiredDataplane } from './desired.ts';
import { planNeighbours } from './neighbours.ts';
import { planRoutes, type RoutePlan } from './route-plan.ts';

export interface PassPlan {
  /** In this order: tunnel devices come before the routes that use them. */
  readonly changes: readonly KernelChange[];
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
  return {
    changes: [
      ...beforeRoutes,
      ...planAddresses(desired.addresses, kernel),
      ...routes.changes,
      ...planNeighbours(desired.endpoints, kernel),
      ...afterRoutes,
    ],
    routes,
  };
}
