/** Finds problems that garbage collection does not repair, for `calictl ipam check`. Pure. */
import type { IPAMBlock } from '../datastore/schema/ipam.ts';
import { contains, mustCidr, parseAddress, parseCidr } from '../lib/cidr.ts';
import { addressesOfPod, type IpamSnapshot, isFinished } from './audit.ts';
import { allocationsOf } from './block.ts';
import { faultsOf, overlapsOf } from './block-faults.ts';

/** Returns a sentence per problem. */
export function problemsOf({ pools, blocks, handles, pods, nodes }: IpamSnapshot): string[] {
  const held = new Set(blocks.flatMap(({ spec }) => allocationsOf(spec).map(({ handleId }) => handleId)));
  const problems: string[] = [];
  for (const { spec } of blocks) {
    problems.push(...faultsOf(spec).map((fault) => `block ${spec.cidr}: ${fault}`));
    const network = mustCidr(spec.cidr);
    if (!pools.some((pool) => contains(mustCidr(pool.spec.cidr), network)))
      problems.push(`block ${spec.cidr} is in no IPPool: delete the pods in it, or recreate the pool`);
  }
  const reported = new Set<IPAMBlock>();
  for (const [one, other] of overlapsOf(blocks)) {
    if (!reported.has(other)) problems.push(`blocks ${one.spec.cidr} and ${other.spec.cidr} overlap`);
    reported.add(one);
  }
  const known = new Set(handles.map(({ spec }) => spec.handleID));
  for (const handle of held)
    if (handle !== '' && !known.has(handle))
      problems.push(`handle ${handle} has addresses but does not exist`);
  const taken = new Set(blocks.flatMap(({ spec }) => allocationsOf(spec).map(({ address }) => address)));
  const users = new Map<string, string>();
  // Addresses of podCIDRs are in no block (pod-cidr.ts).
  const podCidrs = new Map(
    nodes.map(({ metadata, spec }) => [
      metadata.name,
      (spec.podCIDRs ?? [spec.podCIDR ?? '']).flatMap((text) => parseCidr(text) ?? []),
    ]),
  );
  const isAllocated = (address: string, node: string | undefined) => {
    const parsed = parseAddress(address)!;
    const isInPool = pools.some(({ spec }) => contains(mustCidr(spec.cidr), parsed));
    const isInBlock = blocks.some(({ spec }) => contains(mustCidr(spec.cidr), parsed));
    const isLocal = (podCidrs.get(node ?? '') ?? []).some((range) => contains(range, parsed));
    return taken.has(address) || !isInPool || (isLocal && !isInBlock);
  };
  for (const pod of pods) {
    // A pod that is being deleted can list addresses that it has released and that others may use by now.
    if (pod.spec.hostNetwork || isFinished(pod) || pod.metadata.deletionTimestamp) continue;
    const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
    for (const address of new Set(addressesOfPod(pod))) {
      const other = users.get(address);
      if (other) problems.push(`${address} is used by two pods, ${other} and ${name}: delete one of them`);
      users.set(address, name);
      if (!isAllocated(address, pod.spec.nodeName))
        problems.push(`${address} is used by pod ${name} but not allocated: delete the pod`);
    }
  }
  return problems;
}
