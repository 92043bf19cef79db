/** What the lab builds: from flags, or from a topology file for what flags cannot say (docs/lab.md). */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Family } from '../lib/cidr.ts';
import { CodedError, messageOf } from '../lib/errors.ts';

const name = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?$/, 'must be lower case letters, digits and "-"');

const topology = z.strictObject({
  nodes: z
    .array(
      z.strictObject({
        name,
        pods: z.array(name).default([]),
        /** Which subnet, counted from 0. */
        subnet: z.number().int().min(0).max(7).default(0),
        labels: z.record(z.string(), z.string()).default({}),
        annotations: z.record(z.string(), z.string()).default({}),
      }),
    )
    .min(1)
    .max(64),
  /** specs of IPPools; the default is one of each family. */
  pools: z.array(z.looseObject({ cidr: z.string() })).optional(),
  ipv6: z.boolean().default(true),
  /** Between nodes, for pools that do not say it themselves. */
  encap: z.enum(['auto', 'none', 'ipip', 'vxlan']).default('auto'),
  mode: z.enum(['Always', 'CrossSubnet']).default('CrossSubnet'),
  /** Further objects to create before the agents start, as kubectl would. */
  objects: z.array(z.looseObject({ apiVersion: z.string(), kind: z.string() })).default([]),
});

export type Topology = z.output<typeof topology>;

export type Encap = Topology['encap'];

export interface TopologyOptions {
  readonly nodes: number;
  readonly pods: number;
  readonly subnets: number;
  readonly ipv6: boolean;
  readonly encap: Encap;
  readonly mode: Topology['mode'];
}

/** `node1` … with pods `node1-a` …, the first nodes in the first subnet. */
export function topologyOf({ nodes, pods, subnets, ...rest }: TopologyOptions): Topology {
  const each = Math.ceil(nodes / subnets);
  return {
    ...rest,
    nodes: Array.from({ length: nodes }, (_, i) => ({
      name: `node${i + 1}`,
      pods: Array.from({ length: pods }, (_, j) => `node${i + 1}-${podSuffix(j)}`),
      subnet: Math.floor(i / each),
      labels: {},
      annotations: {},
    })),
    objects: [],
  };
}

/** `auto` decided: IPIP between subnets where the kernel has it, else VXLAN; nothing within one subnet. */
export function chooseEncap({ encap, nodes }: Topology, hasIpip: boolean): Exclude<Encap, 'auto'> {
  if (encap !== 'auto') return encap;
  if (nodes.every(({ subnet }) => subnet === nodes[0]!.subnet)) return 'none';
  return hasIpip ? 'ipip' : 'vxlan';
}

/** Of an IPPool; IPIP carries IPv4 alone, so IPv6 goes by VXLAN beside it. */
export function poolModes(
  encap: Exclude<Encap, 'auto'>,
  mode: Topology['mode'],
  family: Family,
): { ipipMode?: string; vxlanMode?: string } {
  if (encap === 'none') return {};
  return encap === 'ipip' && family === 4 ? { ipipMode: mode } : { vxlanMode: mode };
}

/** a … z, then a1 … */
function podSuffix(index: number): string {
  const letter = String.fromCharCode(97 + (index % 26));
  return index < 26 ? letter : `${letter}${Math.floor(index / 26)}`;
}

/** Reads a YAML file. Throws CodedError TOPOLOGY with the field that is wrong. */
export async function readTopology(file: string): Promise<Topology> {
  try {
    const result = topology.safeParse(parse(await readFile(file, 'utf8')));
    if (result.success) return result.data;
    const issue = result.error.issues[0]!;
    throw new Error(`${issue.path.join('.')}: ${issue.message}`);
  } catch (error) {
    throw new CodedError('TOPOLOGY', `topology ${file}: ${messageOf(error)}`, { cause: error });
  }
}
