/**
 * Plans the next action of chaos as a pure function of the seed and the earlier actions, so that runs can be repeated.
 * It plans only actions that must succeed: none that need an agent that is down, or the API while it is down.
 */
import type { Random } from '../fuzz/random.ts';

export type Action =
  | { readonly do: 'pod add'; readonly node: string; readonly pod: string; readonly pool?: string }
  /** The node's agent is killed while the pod gets its network; the pod is added again once the agent is back. */
  | {
      readonly do: 'pod add interrupted';
      readonly node: string;
      readonly pod: string;
      readonly afterMs: number;
    }
  | { readonly do: 'pod delete'; readonly pod: string }
  | { readonly do: 'agent'; readonly node: string; readonly verb: 'kill' | 'stop' | 'start' }
  | { readonly do: 'api'; readonly verb: 'kill' | 'stop' | 'start' }
  | { readonly do: 'node add'; readonly node: string; readonly subnet: number }
  | { readonly do: 'node delete'; readonly node: string }
  | { readonly do: 'pool add'; readonly pool: string; readonly cidr: string }
  | { readonly do: 'pool switch'; readonly pool: string; readonly disabled: boolean }
  | { readonly do: 'pool delete'; readonly pool: string }
  | { readonly do: 'disturb'; readonly node: string; readonly how: Disturbance }
  | { readonly do: 'mend'; readonly node: string; readonly how: Disturbance };

export type Disturbance = 'no IPv4' | 'no IPv6' | 'uplink down' | 'second address';

interface ModelNode {
  readonly isUp: boolean;
  readonly disturbed?: Disturbance;
  /** Chaos added the node and may delete it; initial nodes stay. */
  readonly isGuest: boolean;
}

/** The state of the lab as far as chaos changes it. */
export interface Model {
  readonly isApiUp: boolean;
  readonly nodes: ReadonlyMap<string, ModelNode>;
  /** Pods with their node. */
  readonly pods: ReadonlyMap<string, string>;
  /** Pools that have not been deleted; true while disabled. */
  readonly pools: ReadonlyMap<string, boolean>;
  /** Counter for unique names. */
  readonly count: number;
}

export const LIMITS = { pods: 16, guests: 2, pools: 3, subnets: 2 };

export function modelOf(nodes: readonly string[]): Model {
  return {
    isApiUp: true,
    nodes: new Map(nodes.map((name) => [name, { isUp: true, isGuest: false }])),
    pods: new Map(),
    pools: new Map(),
    count: 0,
  };
}

/** Returns the next action. In any state at least one is possible. */
export function nextAction(model: Model, random: Random): Action {
  for (;;) {
    const action = random.pick(makers)(model, random);
    if (action) return action;
  }
}

type Maker = (model: Model, random: Random) => Action | undefined;

const hows: readonly Disturbance[] = ['no IPv4', 'no IPv6', 'uplink down', 'second address'];

const podAdd: Maker = (model, random) => {
  const node = pick(random, healthy(model));
  if (!node || !model.isApiUp || model.pods.size >= LIMITS.pods) return undefined;
  const open = [...model.pools].filter(([, isDisabled]) => !isDisabled).map(([name]) => name);
  const pool = random.once(3) ? pick(random, open) : undefined;
  return { do: 'pod add', node, pod: `pod${model.count}`, ...(pool ? { pool } : {}) };
};
const podDelete: Maker = (model, random) => {
  const nodes = healthy(model);
  const pods = [...model.pods].filter(([, node]) => nodes.includes(node)).map(([name]) => name);
  const pod = pick(random, pods);
  return pod && model.isApiUp ? { do: 'pod delete', pod } : undefined;
};
const interrupted: Maker = (model, random) => {
  const node = pick(random, healthy(model));
  if (!node || !model.isApiUp || model.pods.size >= LIMITS.pods) return undefined;
  return { do: 'pod add interrupted', node, pod: `pod${model.count}`, afterMs: random.below(60) };
};
const agentDown: Maker = (model, random) => {
  const node = pick(random, healthy(model));
  return node ? { do: 'agent', node, verb: random.once(2) ? 'kill' : 'stop' } : undefined;
};
const agentUp: Maker = ({ nodes, isApiUp }, random) => {
  const node = pick(
    random,
    [...nodes].filter(([, one]) => !one.isUp).map(([name]) => name),
  );
  return node && isApiUp ? { do: 'agent', node, verb: 'start' } : undefined;
};
const api: Maker = ({ isApiUp }, random) => {
  if (!isApiUp) return { do: 'api', verb: 'start' };
  return random.once(2) ? { do: 'api', verb: random.once(2) ? 'kill' : 'stop' } : undefined;
};
const nodeAdd: Maker = ({ isApiUp, nodes, count }, random) => {
  const guests = [...nodes.values()].filter(({ isGuest }) => isGuest).length;
  if (!isApiUp || guests >= LIMITS.guests) return undefined;
  return { do: 'node add', node: `guest${count}`, subnet: random.below(LIMITS.subnets) };
};
const nodeDelete: Maker = ({ isApiUp, nodes }, random) => {
  const node = pick(
    random,
    [...nodes].filter(([, { isGuest }]) => isGuest).map(([name]) => name),
  );
  return node && isApiUp ? { do: 'node delete', node } : undefined;
};
const poolAdd: Maker = ({ isApiUp, pools, count }, random) =>
  isApiUp && pools.size < LIMITS.pools
    ? { do: 'pool add', pool: `pool${count}`, cidr: `10.${100 + (count % 100)}.${random.below(256)}.0/24` }
    : undefined;
const poolSwitch: Maker = ({ isApiUp, pools }, random) => {
  const pool = pick(random, [...pools.keys()]);
  return pool && isApiUp ? { do: 'pool switch', pool, disabled: !pools.get(pool) } : undefined;
};
const poolDelete: Maker = ({ isApiUp, pools }, random) => {
  const pool = pick(random, [...pools.keys()]);
  return pool && isApiUp ? { do: 'pool delete', pool } : undefined;
};
const disturb: Maker = (model, random) => {
  const node = pick(random, healthy(model));
  return node ? { do: 'disturb', node, how: random.pick(hows) } : undefined;
};
const mend: Maker = ({ nodes }, random) => {
  const node = pick(
    random,
    [...nodes].filter(([, { disturbed }]) => disturbed).map(([name]) => name),
  );
  return node ? { do: 'mend', node, how: nodes.get(node)!.disturbed! } : undefined;
};

/** The number of times that a maker is listed is its weight. */
const makers: readonly Maker[] = [
  ...[podAdd, podAdd, podAdd, podAdd, podAdd, podDelete, podDelete, podDelete],
  ...[interrupted, agentDown, agentUp, agentUp, agentUp, api, api, nodeAdd, nodeDelete],
  ...[poolAdd, poolSwitch, poolDelete, disturb, mend, mend, mend],
];

/** Returns the nodes with a running agent and without a disturbance. */
function healthy({ nodes }: Model): string[] {
  return [...nodes].filter(([, { isUp, disturbed }]) => isUp && !disturbed).map(([name]) => name);
}

function pick<T>(random: Random, list: readonly T[]): T | undefined {
  return list.length === 0 ? undefined : random.pick(list);
}

/** Returns the model after an action. */
export function after(model: Model, action: Action): Model {
  const nodes = new Map(model.nodes);
  const pods = new Map(model.pods);
  const pools = new Map(model.pools);
  let { isApiUp, count } = model;
  switch (action.do) {
    case 'pod add':
    case 'pod add interrupted':
      pods.set(action.pod, action.node);
      count++;
      break;
    case 'pod delete':
      pods.delete(action.pod);
      break;
    case 'agent':
      nodes.set(action.node, { ...nodes.get(action.node)!, isUp: action.verb === 'start' });
      break;
    case 'api':
      isApiUp = action.verb === 'start';
      break;
    case 'node add':
      nodes.set(action.node, { isUp: true, isGuest: true });
      count++;
      break;
    case 'node delete':
      nodes.delete(action.node);
      for (const [pod, node] of model.pods) if (node === action.node) pods.delete(pod);
      break;
    case 'pool add':
      pools.set(action.pool, false);
      count++;
      break;
    case 'pool switch':
      pools.set(action.pool, action.disabled);
      break;
    case 'pool delete':
      pools.delete(action.pool);
      break;
    case 'disturb':
      nodes.set(action.node, { ...nodes.get(action.node)!, disturbed: action.how });
      break;
    case 'mend': {
      const { isUp, isGuest } = nodes.get(action.node)!;
      nodes.set(action.node, { isUp, isGuest });
      break;
    }
    default:
      throw new Error(`unreachable action ${JSON.stringify(action satisfies never)}`);
  }
  return { isApiUp, nodes, pods, pools, count };
}

/** Returns the actions that restore everything that is down or disturbed, in an order that works. */
export function repairs(model: Model): Action[] {
  const nodes = [...model.nodes];
  return [
    ...(model.isApiUp ? [] : [{ do: 'api', verb: 'start' } as const]),
    ...nodes.flatMap(([node, { disturbed }]) =>
      disturbed ? [{ do: 'mend', node, how: disturbed } as const] : [],
    ),
    ...nodes.flatMap(([node, { isUp }]) => (isUp ? [] : [{ do: 'agent', node, verb: 'start' } as const])),
  ];
}

/** Returns the actions that delete everything that chaos made. Everything must work before. */
export function removals(model: Model): Action[] {
  return [
    ...[...model.pods.keys()].map((pod) => ({ do: 'pod delete', pod }) as const),
    ...[...model.pools.keys()].map((pool) => ({ do: 'pool delete', pool }) as const),
    ...[...model.nodes].flatMap(([node, { isGuest }]) =>
      isGuest ? [{ do: 'node delete', node } as const] : [],
    ),
  ];
}

/** Formats an action for the output, so that a person can repeat it. */
export function describeAction(action: Action): string {
  const { do: what, ...details } = action;
  return `${what} ${Object.values(details).join(' ')}`;
}
