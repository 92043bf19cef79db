/** Explains the path of packets to an address: from the pool to the kernel. */
import { viewRoute } from '../../bgp/routes-view.ts';
import type { Speaker } from '../../bgp/speaker.ts';
import type { IPPool } from '../../datastore/schema/ip-pool.ts';
import type { IPAMBlock } from '../../datastore/schema/ipam.ts';
import type { Kernel } from '../../kernel/port.ts';
import { bitsOf, type Cidr, contains, hostCidr, mustCidr } from '../../lib/cidr.ts';
import type { Endpoint } from '../../model/endpoint.ts';

export interface Explanation {
  readonly address: string;
  readonly pool: string | undefined;
  readonly block: { readonly cidr: string; readonly node: string | undefined } | undefined;
  /** The pod of this node that has the address. */
  readonly local: { readonly interfaceName: string } | undefined;
  /** The longest prefix in the RIB that covers the address, with its paths. */
  readonly route: ReturnType<typeof viewRoute> | undefined;
  /** The kernel's route, as `ip route get` prints it. */
  readonly kernel: string;
}

/** Explains an address, given as canonical text. */
export async function explain(
  text: string,
  sources: {
    pools: readonly IPPool[];
    blocks: readonly IPAMBlock[];
    speaker: Speaker | undefined;
    endpoints: readonly Endpoint[];
    kernel: Pick<Kernel, 'routeText'>;
  },
): Promise<Explanation> {
  const host = mustCidr(hostCidr(text));
  const pool = sources.pools.find(({ spec }) => contains(mustCidr(spec.cidr), host));
  const block = sources.blocks.find(({ spec }) => contains(mustCidr(spec.cidr), host));
  const local = sources.endpoints.find(({ addresses }) => addresses.includes(text));
  return {
    address: text,
    pool: pool && `${pool.metadata.name} (${pool.spec.cidr})`,
    block: block && { cidr: block.spec.cidr, node: block.spec.affinity?.replace(/^host:/, '') },
    local: local && { interfaceName: local.interfaceName },
    route: longestRoute(text, host, sources.speaker),
    kernel: await sources.kernel.routeText(text),
  };
}

function longestRoute(text: string, { family }: Cidr, speaker: Speaker | undefined) {
  const rib = speaker?.ribs[family];
  if (!rib) return undefined;
  for (let bits: number = bitsOf(family); bits >= 0; bits--) {
    const row = rib.prefixes.findText(`${text}/${bits}`);
    if (row >= 0 && rib.head[row]! >= 0) return viewRoute(rib, row);
  }
  return undefined;
}
