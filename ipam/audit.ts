/**
 * Finds inconsistencies in IPAM by comparing blocks, handles and affinities with the cluster's nodes and pods. Pure.
 * One finding proves nothing, because the objects are read one after the other: suspicions.ts waits until a finding
 * persists. Calico reference 5.3.
 */
import type { ObjectProblem } from '../datastore/object-problem.ts';
import type { Node, Pod } from '../datastore/schema/core.ts';
import { type IPPool, isTerminating } from '../datastore/schema/ip-pool.ts';
import type { BlockAffinity, IPAMBlock, IPAMHandle } from '../datastore/schema/ipam.ts';
import { contains, formatAddress, mustCidr, parseAddress } from '../lib/cidr.ts';
import { type Allocation, affinityOf, allocationsOf, isEmpty } from './block.ts';

/** The datastore's content. Blocks must be read before pods, because a pod exists before it has an address. */
export interface IpamSnapshot {
  readonly pools: readonly IPPool[];
  readonly blocks: readonly IPAMBlock[];
  readonly affinities: readonly BlockAffinity[];
  readonly handles: readonly IPAMHandle[];
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  /** Objects that exist but cannot be read. Nothing is removed because one of them is missing from the lists. */
  readonly unreadable?: readonly ObjectProblem[];
}

/** An allocated address without a user. */
export interface Leak extends Allocation {
  readonly cidr: string;
  readonly reason: string;
  /** Whether the node that it was allocated on no longer exists. */
  readonly isNodeGone: boolean;
}

export interface Audit {
  readonly leaks: readonly Leak[];
  /** Handles that no block refers to: an allocator died between writing the two. */
  readonly spareHandles: readonly IPAMHandle[];
  /** Affinities whose block is missing or belongs to another node. */
  readonly spareAffinities: readonly BlockAffinity[];
  /** Blocks of nodes that no longer exist. */
  readonly orphans: readonly IPAMBlock[];
  /** Empty blocks that are outside the pools, belong to no node, or whose node has another block of the family. */
  readonly spareBlocks: readonly IPAMBlock[];
}

export function audit(snapshot: IpamSnapshot): Audit {
  const hidden = (kind: string) => snapshot.unreadable?.filter((one) => one.kind === kind) ?? [];
  const nodes = new Set([
    ...snapshot.nodes.map(({ metadata }) => metadata.name),
    ...hidden('Node').map(({ name }) => name),
  ]);
  const hasAllBlocks = hidden('IPAMBlock').length === 0;
  const held = new Set<string>();
  for (const { spec } of snapshot.blocks) for (const { handleId } of allocationsOf(spec)) held.add(handleId);
  const owners = new Map(snapshot.blocks.map(({ spec }) => [spec.cidr, spec.affinity]));
  return {
    leaks: leaksOf(snapshot, nodes),
    spareHandles: hasAllBlocks ? snapshot.handles.filter(({ spec }) => !held.has(spec.handleID)) : [],
    spareAffinities: hasAllBlocks
      ? snapshot.affinities.filter(({ spec }) => owners.get(spec.cidr) !== affinityOf(spec.node))
      : [],
    orphans: snapshot.blocks.filter((block) => {
      const node = nodeOf(block);
      return node !== undefined && !nodes.has(node);
    }),
    spareBlocks: hidden('IPPool').length === 0 ? spareBlocksOf(snapshot, nodes) : [],
  };
}

/** Returns the node that owns a block; undefined when none does. */
export function nodeOf({ spec }: IPAMBlock): string | undefined {
  return spec.affinity?.startsWith('host:') ? spec.affinity.slice('host:'.length) : undefined;
}

function leaksOf({ blocks, pods, unreadable = [] }: IpamSnapshot, nodes: ReadonlySet<string>): Leak[] {
  const hidden = new Set(
    unreadable.filter(({ kind }) => kind === 'Pod').map(({ namespace, name }) => `${namespace}/${name}`),
  );
  const byName = new Map(pods.map((pod) => [`${pod.metadata.namespace}/${pod.metadata.name}`, pod]));
  const suspects = blocks.flatMap(({ spec }) =>
    allocationsOf(spec).map((allocation) => ({
      ...allocation,
      cidr: spec.cidr,
      reason: hidden.has(`${allocation.attributes['namespace']}/${allocation.attributes['pod']}`)
        ? undefined
        : reasonOf(allocation, nodes, byName),
    })),
  );
  // A handle is released as a whole: one address in use protects the others (I-032).
  const used = new Set(suspects.filter(({ reason }) => !reason).map(({ handleId }) => handleId));
  return suspects.flatMap((suspect) => {
    const { reason, attributes } = suspect;
    if (!reason || used.has(suspect.handleId)) return [];
    return [{ ...suspect, reason, isNodeGone: isGone(attributes['node'], nodes) }];
  });
}

/** Returns why an address is unused; undefined when it is in use or that is unknown (I-030, I-031). */
function reasonOf(
  { address, attributes }: Allocation,
  nodes: ReadonlySet<string>,
  pods: ReadonlyMap<string, Pod>,
): string | undefined {
  const { node, namespace, pod: podName } = attributes;
  if (namespace !== undefined && podName !== undefined) {
    const pod = pods.get(`${namespace}/${podName}`);
    if (!pod) return `pod ${namespace}/${podName} does not exist`;
    if (pod.spec.nodeName !== undefined && pod.spec.nodeName !== node)
      return `pod ${namespace}/${podName} is on node ${pod.spec.nodeName} now`;
    if (isFinished(pod)) return `pod ${namespace}/${podName} has finished`;
    const addresses = addressesOfPod(pod);
    if (addresses.length > 0 && !addresses.includes(address))
      return `pod ${namespace}/${podName} has another address`;
    // This applies even if its node does not exist: the kubelet may be alive, and Kubernetes deletes such pods itself.
    return undefined;
  }
  return isGone(node, nodes) ? `node ${node} does not exist` : undefined;
}

function isGone(node: string | undefined, nodes: ReadonlySet<string>): boolean {
  return node !== undefined && !nodes.has(node);
}

export function isFinished({ status }: Pod): boolean {
  return status.phase === 'Succeeded' || status.phase === 'Failed';
}

/** Returns a pod's addresses, formatted as in blocks. */
export function addressesOfPod({ status }: Pod): string[] {
  const texts = [...(status.podIPs ?? []).map(({ ip }) => ip), ...(status.podIP ? [status.podIP] : [])];
  return texts.flatMap((text) => {
    const parsed = parseAddress(text);
    return parsed ? [formatAddress(parsed)] : [];
  });
}

/** Keeps a node's last block of a family for its next pod (I-034), unless its pool is gone or being deleted. */
function spareBlocksOf({ blocks, pools: all }: IpamSnapshot, nodes: ReadonlySet<string>): IPAMBlock[] {
  const pools = all.filter((pool) => !isTerminating(pool));
  const spare: IPAMBlock[] = [];
  const groups = new Map<string, IPAMBlock[]>();
  for (const block of blocks) {
    const node = nodeOf(block);
    const isInPool = pools.some(({ spec }) => contains(mustCidr(spec.cidr), mustCidr(block.spec.cidr)));
    if (node === undefined || !isInPool) {
      if (isEmpty(block.spec)) spare.push(block);
      continue;
    }
    if (!nodes.has(node)) continue;
    const key = `${node} ${mustCidr(block.spec.cidr).family}`;
    groups.set(key, [...(groups.get(key) ?? []), block]);
  }
  for (const group of groups.values()) {
    const empty = group.filter(({ spec }) => isEmpty(spec));
    spare.push(...(empty.length === group.length ? empty.slice(1) : empty));
  }
  return spare;
}
