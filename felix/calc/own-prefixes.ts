/** The prefixes that a node advertises: its confirmed blocks and borrowed addresses (Calico B-104 to B-112). */

import type { IPPool } from '../../datastore/schema/ip-pool.ts';
import type { BlockAffinity, IPAMBlock } from '../../datastore/schema/ipam.ts';
import { contains, hostCidr, mustCidr } from '../../lib/cidr.ts';
import type { Endpoint } from '../../model/endpoint.ts';

export interface OwnPrefixes {
  /** Blocks of this node, as canonical CIDR text. */
  readonly blocks: readonly string[];
  /** Host prefixes of local pods outside those blocks. */
  readonly borrowed: readonly string[];
}

/**
 * Returns a node's prefixes. A block counts if it names the node and its affinity is confirmed (Calico I-001, B-105).
 */
export function ownPrefixes(
  node: string,
  blocks: readonly IPAMBlock[],
  affinities: readonly BlockAffinity[],
  endpoints: readonly Endpoint[],
): OwnPrefixes {
  const confirmed = new Set(
    affinities
      .filter(({ spec }) => spec.node === node && (spec.state === 'confirmed' || spec.state === ''))
      .map(({ spec }) => spec.cidr),
  );
  const own = blocks
    .filter(({ spec }) => spec.affinity === `host:${node}` && confirmed.has(spec.cidr))
    .map(({ spec }) => spec.cidr)
    .sort();
  const ranges = own.map(mustCidr);
  const borrowed = endpoints
    .flatMap(({ addresses }) => addresses.map(hostCidr))
    .filter((host) => !ranges.some((range) => contains(range, mustCidr(host))));
  return { blocks: own, borrowed: [...new Set(borrowed)].sort() };
}

/** Returns the prefixes to advertise: all except those in pools with disableBGPExport (Calico B-100). */
export function exportedPrefixes({ blocks, borrowed }: OwnPrefixes, pools: readonly IPPool[]): string[] {
  const hidden = pools.filter(({ spec }) => spec.disableBGPExport).map(({ spec }) => mustCidr(spec.cidr));
  return [...blocks, ...borrowed].filter(
    (prefix) => !hidden.some((range) => contains(range, mustCidr(prefix))),
  );
}
