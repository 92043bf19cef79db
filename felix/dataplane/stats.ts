/** Figures about the dataplane, for status and metrics. */
import type { MissingTunnels } from '../../ipip/tunnelling.ts';

export interface DataplaneStats {
  readonly applies: number;
  readonly failures: number;
  readonly routes: number;
  /** Of those, IPv6 routes. */
  readonly ipv6Routes: number;
  /** Why the kernel differs from the desired state; empty when it does not. */
  readonly problems: readonly string[];
  /** Tunnels that are wanted but cannot be created, with the reason. */
  readonly missingTunnels: MissingTunnels;
  /** Number of objects that another program keeps changing back, by kind. */
  readonly oscillating: Readonly<Record<string, number>>;
  /** Kernel objects that full checks found changed without a notification. */
  readonly missedNotifications: number;
}

/** Values before there is a dataplane. */
export const noStats: DataplaneStats = {
  applies: 0,
  failures: 0,
  routes: 0,
  ipv6Routes: 0,
  problems: [],
  missingTunnels: {},
  oscillating: {},
  missedNotifications: 0,
};
