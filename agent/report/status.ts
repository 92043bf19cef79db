/** Status of an agent, for calictl on the local socket. */
import type { PeerStatus } from '../../bgp/peer/config.ts';
import type { ObjectProblem } from '../../datastore/object-problem.ts';
import type { TunnelStatus } from '../../ipip/tunnelling.ts';

export interface AgentStatus {
  readonly node: string;
  readonly version: string;
  readonly pid: number;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Why the node is not ready; empty when it is. */
  readonly notReady: readonly string[];
  readonly bgp: {
    /** Why BGP does not run; undefined when the speaker runs. */
    readonly error: string | undefined;
    /** Why the speaker keeps its sessions unchanged; undefined when it accepts changes. */
    readonly onHold?: string | undefined;
    readonly asNumber: number | undefined;
    readonly routerId: string | undefined;
    readonly families: readonly (4 | 6)[];
    readonly isSettled: boolean;
    readonly peers: readonly PeerStatus[];
  };
  readonly tunnels: readonly TunnelStatus[];
  /** MTU of new pods. */
  readonly podMtu: number;
  readonly dataplane: { readonly routes: number; readonly problems: readonly string[] };
  readonly endpoints: number;
  /** Faults of API objects: at most MAX_OBJECT_PROBLEMS. */
  readonly objects: readonly ObjectProblem[];
  /** Total number of faults. */
  readonly objectProblems: number;
  /** Fields of objects without effect: at most MAX_OBJECT_PROBLEMS sentences. */
  readonly notices: readonly string[];
}

/** Maximum of faults in a status. */
export const MAX_OBJECT_PROBLEMS = 100;

/** Names of the agent's sockets in its run directory. */
export const AGENT_SOCKET = 'cali.sock';
export const CNI_SOCKET = 'cni.sock';
