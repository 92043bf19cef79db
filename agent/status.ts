/** What an agent says about itself to calictl, over its local socket. */
import type { PeerStatus } from '../bgp/peer-config.ts';
import type { ObjectProblem } from '../datastore/object-problem.ts';

export interface AgentStatus {
  readonly node: string;
  readonly version: string;
  readonly pid: number;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Why the node is not ready; empty when it is. */
  readonly notReady: readonly string[];
  readonly bgp: {
    /** Why there is no BGP; undefined when the speaker runs. */
    readonly error: string | undefined;
    /** Why the speaker keeps its sessions as they are and takes no changes; undefined when it takes them. */
    readonly onHold?: string | undefined;
    readonly asNumber: number | undefined;
    readonly routerId: string | undefined;
    readonly families: readonly (4 | 6)[];
    readonly isSettled: boolean;
    readonly peers: readonly PeerStatus[];
  };
  readonly tunnels: readonly {
    readonly device: string;
    /** This node's address in it. */
    readonly address: string | undefined;
    readonly mtu: number | undefined;
    readonly isUp: boolean;
  }[];
  /** MTU of new pods. */
  readonly podMtu: number;
  readonly dataplane: { readonly routes: number; readonly problems: readonly string[] };
  readonly endpoints: number;
  /** Objects of the API that cannot be used as they are: at most MAX_OBJECT_PROBLEMS of them. */
  readonly objects: readonly ObjectProblem[];
  /** How many there are. */
  readonly objectProblems: number;
  /** Fields of objects that are set and have no effect: at most MAX_OBJECT_PROBLEMS sentences. */
  readonly notices: readonly string[];
}

/** Objects that a status names. */
export const MAX_OBJECT_PROBLEMS = 100;

/** Name of the agent's socket in its run directory. */
export const AGENT_SOCKET = 'cali.sock';
export const CNI_SOCKET = 'cni.sock';
