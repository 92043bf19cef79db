/** The desired state of the dataplane, and its settings. */
import type { Tunnel } from '../../ipip/device-plan.ts';
import type { InterfaceAddress } from '../../kernel/port.ts';
import type { Family } from '../../lib/cidr.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { Route } from '../../model/route.ts';
import type { Ownership } from '../../model/route-ownership.ts';
import type { Ruleset } from '../calc/ruleset.ts';

export interface DesiredDataplane {
  readonly routes: readonly Route[];
  readonly endpoints: readonly Endpoint[];
  /** Addresses of this node on the pods' veths. Any other host address there is removed. */
  readonly addresses: readonly InterfaceAddress[];
  readonly tunnels: readonly Tunnel[];
  /** Our nftables table. The same object means an unchanged table. */
  readonly ruleset: Ruleset;
  /** Whether learned routes are complete. Until they are, those in the kernel are kept. */
  readonly isLearnedComplete: boolean;
  /** Identifies our routes in the kernel. */
  readonly ownership: Ownership;
  /** Whether a learned default route may take precedence over the host's own. */
  readonly mayReplaceDefault?: boolean;
}

/** Settings that may change at run time. */
export interface DataplaneSettings {
  /** Interval of full checks, in milliseconds. */
  readonly resyncMs: number;
  /** Families of the node and its pods. Sysctls of other families are not changed. */
  readonly families: readonly Family[];
  /** Whether to set the node's forwarding sysctls. */
  readonly hasForwarding: boolean;
  /** Whether checksum offload is broken on tunnels; undefined: decided by the kernel's version. */
  readonly isOffloadBroken?: boolean | undefined;
  /** Configuration that cannot be applied, one sentence each. */
  readonly problems: readonly string[];
}
