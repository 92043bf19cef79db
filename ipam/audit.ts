/**
 * What is wrong in IPAM at one moment: a pure comparison of blocks, handles and affinities with the cluster's nodes
 * and pods. That something looks wrong once proves nothing, because the parts are read one after the other:
 * suspicions.ts waits until it has looked so for a while. Calico reference 5.3.
 */
import type { ObjectProblem } from '../datastore/object-problem.ts';
import type { Node, Pod } from '../datastore/schema/core.ts';
import { type IPPool, isTerminating } from '../datastore/schema/ip-pool.ts';
import type { BlockAffinity, IPAMBlock, IPAMHandle } from '../datastore/schema/ipam.ts';
import { contains, formatAddress, mustCidr, parseAddress } from '../lib/cidr.ts';
import { type Allocation, affinityOf, allocationsOf, isEmpty } from './block.ts';

/** The datastore's content. Blocks have to be read before pods: a pod exists before it has an address. */
export interface IpamSnapshot {
  readonly pools: readonly IPPool[];
  readonly blocks: readonly IPAMBlock[];
  readonly affinities: readonly BlockAffinity[];
  readonly handles: readonly IPAMHandle[];
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  /** Objects that exist and cannot be read: nothing is taken away because one of them was not seen. */
  readonly unreadable?: readonly ObjectProblem[];
}

/** An address that is taken and that nobody uses. */
export interface Leak extends Allocation {
  readonly cidr: string;
  readonly reason: string;
  /** Its node does not exist: what it held is of no use to anybody. */
  readonly isNodeGone: boolean;
}

export interface Audit {
  readonly leaks: readonly Leak[];
  /** Handles that no block knows: an allocator died between the two. */
  readonly spareHandles: readonly IPAMHandle[];
  /** Affinities whose block is not there or is another node's. */
  readonly spareAffinities: readonly BlockAffinity[];
  /** Blocks of nodes that are gone. */
  readonly orphans: readonly IPAMBlock[];
  /** Empty blocks: nobody's, and those of nodes that have another one of the family. */
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

/** The node that a block belongs to; undefined when it is nobody's. */
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
  // A handle is freed as a whole: one address in use protects the rest (I-032).
  const used = new Set(suspects.filter(({ reason }) => !reason).map(({ handleId }) => handleId));
  return suspects.flatMap((suspect) => {
    const { reason, attributes } = suspect;
    if (!reason || used.has(suspect.handleId)) return [];
    return [{ ...suspect, reason, isNodeGone: isGone(attributes['node'], nodes) }];
  });
}

/** Why nobody uses an address; undefined when somebody does or when that cannot be said (I-030, I-031). */
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
    // Also while its node does not exist: kubelet may be alive, and Kubernetes deletes such pods itself.
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

/** Addresses of a pod in the spelling of blocks. */
export function addressesOfPod({ status }: Pod): string[] {
  const texts = [...(status.podIPs ?? []).map(({ ip }) => ip), ...(status.podIP ? [status.podIP] : [])];
  return texts.flatMap((text) => {
    const parsed = parseAddress(text);
    return parsed ? [formatAddress(parsed)] : [];
  });
}

/**
 * The last block of a node and family stays: its next pod wants it (I-034), unless its pool has gone or is being deleted.
 */
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
