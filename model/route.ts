/** Defines routes: desired ones, and those in the kernel. */
import type { OwnProtocol } from './route-protocols.ts';

/** A desired route. A unicast route has a device, or gateways and tunnels. */
export interface Route {
  /** Canonical prefix text. */
  readonly destination: string;
  readonly type: 'unicast' | 'blackhole';
  readonly protocol: OwnProtocol;
  readonly device: string | undefined;
  /** Kernel metric; undefined: the kernel's default. */
  readonly metric?: number | undefined;
  /** Next hops, sorted. They are resolved through the kernel's other routes. */
  readonly gateways: readonly string[];
  /** The gateways that may be pods of this node, because these pods announced the route. */
  readonly pods?: readonly string[] | undefined;
  /** Used for a prefix without a BGP route. A BGP route from before a restart is kept until BGP has converged. */
  readonly isFallback?: boolean;
  /** Additional next hops, each through a tunnel device. */
  readonly tunnels?: readonly Hop[] | undefined;
  /** Source address of this node's own packets; undefined: the kernel chooses. */
  readonly source?: string | undefined;
}

/** A route in the kernel, ours or not. */
export interface KernelRoute {
  readonly destination: string;
  readonly type: string;
  /** Protocol number (linux/rtnetlink.h RTPROT_*). */
  readonly protocol: number;
  readonly metric: number | undefined;
  readonly source?: string | undefined;
  readonly hops: readonly Hop[];
}

/** A resolved next hop: a gateway, or a directly connected link. */
export interface Hop {
  readonly gateway: string | undefined;
  readonly device: string | undefined;
  /** Treats the gateway as on the link whatever its address: the other end of a tunnel. */
  readonly isOnlink?: boolean | undefined;
}
