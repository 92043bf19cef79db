/** The default IPPools of a new cluster, from Calico's CALICO_IPV4POOL_… and CALICO_IPV6POOL_… (reference 7.3). */
import { ipPoolKind } from '../../datastore/schema/ip-pool.ts';
import { CALICO_GROUP } from '../../datastore/schema/resource.ts';
import { type Family, parseCidr } from '../../lib/cidr.ts';
import { parseSelector } from '../../lib/selector.ts';
import type { Variables } from '../../lib/variables.ts';

type Mode = 'Never' | 'Always' | 'CrossSubnet';

export interface DefaultPools {
  readonly isWanted: boolean;
  /** By family; `none`: no pool; undefined: the cluster's pod network, if the agent finds it. */
  readonly cidrs: Readonly<Record<Family, string | undefined>>;
  readonly blockSizes: Readonly<Record<Family, number | undefined>>;
  readonly natOutgoing: Readonly<Record<Family, boolean>>;
  readonly nodeSelectors: Readonly<Record<Family, string>>;
  readonly disablesBgpExport: Readonly<Record<Family, boolean>>;
  readonly ipipMode: Mode;
  readonly vxlanModes: Readonly<Record<Family, Mode>>;
}

/** Calico's spellings, in lower case. */
const modes: Readonly<Record<string, Mode>> = {
  off: 'Never',
  never: 'Never',
  always: 'Always',
  crosssubnet: 'CrossSubnet',
  'cross-subnet': 'CrossSubnet',
};

/** Throws CodedError CONFIG for a variable with which no pool can be created. */
export function defaultPools(variables: Variables): DefaultPools {
  const cidr = (family: Family) =>
    variables.parsed(
      `CALICO_IPV${family}POOL_CIDR`,
      (text) => {
        if (text.toLowerCase() === 'none') return 'none';
        return text.includes('/') && parseCidr(text)?.family === family ? text : undefined;
      },
      `must be none, or an IPv${family} network such as ${family === 4 ? '10.244.0.0/16' : 'fd00:10:244::/56'}`,
    );
  const nodeSelector = (family: Family) =>
    variables.parsed(
      `CALICO_IPV${family}POOL_NODE_SELECTOR`,
      (text) => (parseSelector(text).ok ? text : undefined),
      "must be a selector, such as all() or zone == 'a'",
    ) ?? 'all()';
  const mode = (name: string) =>
    variables.parsed(
      name,
      (text) => (Object.hasOwn(modes, text.toLowerCase()) ? modes[text.toLowerCase()] : undefined),
      'must be Never, Always or CrossSubnet',
    ) ?? 'Never';
  const pools: DefaultPools = {
    isWanted: !variables.truth('NO_DEFAULT_POOLS', false),
    cidrs: { 4: cidr(4), 6: cidr(6) },
    blockSizes: {
      4: variables.whole('CALICO_IPV4POOL_BLOCK_SIZE', undefined, 20, 32),
      6: variables.whole('CALICO_IPV6POOL_BLOCK_SIZE', undefined, 116, 128),
    },
    natOutgoing: {
      4: variables.truth('CALICO_IPV4POOL_NAT_OUTGOING', true),
      6: variables.truth('CALICO_IPV6POOL_NAT_OUTGOING', false),
    },
    nodeSelectors: { 4: nodeSelector(4), 6: nodeSelector(6) },
    disablesBgpExport: {
      4: variables.truth('CALICO_IPV4POOL_DISABLE_BGP_EXPORT', false),
      6: variables.truth('CALICO_IPV6POOL_DISABLE_BGP_EXPORT', false),
    },
    ipipMode: mode('CALICO_IPV4POOL_IPIP'),
    vxlanModes: { 4: mode('CALICO_IPV4POOL_VXLAN'), 6: mode('CALICO_IPV6POOL_VXLAN') },
  };
  if (pools.ipipMode !== 'Never' && pools.vxlanModes[4] !== 'Never')
    variables.refuse('CALICO_IPV4POOL_VXLAN', 'excludes CALICO_IPV4POOL_IPIP: set one of them to Never');
  for (const family of [4, 6] as const) refuseUnusable(pools, family, variables);
  return pools;
}

function refuseUnusable(pools: DefaultPools, family: Family, variables: Variables): void {
  const set = pools.cidrs[family];
  if (set === undefined || set === 'none') return;
  const parsed = ipPoolKind.schema.safeParse(poolOf(pools, family, set));
  const faults = parsed.success
    ? (ipPoolKind.validate?.(parsed.data, undefined, { list: () => [] }) ?? [])
    : parsed.error.issues;
  if (faults[0]) variables.refuse(`CALICO_IPV${family}POOL_CIDR`, faults[0].message);
}

/** Returns the default pool of a family. */
export function poolOf(pools: DefaultPools, family: Family, cidr: string) {
  const blockSize = pools.blockSizes[family];
  return {
    apiVersion: `${CALICO_GROUP}/v3`,
    kind: 'IPPool',
    metadata: { name: `default-ipv${family}-ippool` },
    spec: {
      cidr,
      ...(blockSize === undefined ? {} : { blockSize }),
      ipipMode: family === 4 ? pools.ipipMode : 'Never',
      vxlanMode: pools.vxlanModes[family],
      natOutgoing: pools.natOutgoing[family],
      nodeSelector: pools.nodeSelectors[family],
      disableBGPExport: pools.disablesBgpExport[family],
    },
  };
}
