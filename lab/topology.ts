/** The topology of the lab, from flags, or from a topology file for settings that have no flag (docs/lab.md). */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { fieldPath } from '../datastore/field-path.ts';
import { schemaSentence } from '../datastore/schema-sentences.ts';
import type { Family } from '../lib/cidr.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import { parseYaml } from '../lib/yaml.ts';
import { assertFreeName, invalidName } from './names.ts';

const name = z.string().superRefine((text, context) => {
  const reason = invalidName(text);
  if (reason !== undefined)
    context.addIssue({ code: 'custom', message: `${JSON.stringify(text)}: invalid name: ${reason}` });
});

const topology = z.strictObject({
  nodes: z
    .array(
      z.strictObject({
        name,
        pods: z.array(name).default([]),
        /** Index of the subnet, counted from 0. */
        subnet: z.number().int().min(0).max(7).default(0),
        labels: z.record(z.string(), z.string()).default({}),
        annotations: z.record(z.string(), z.string()).default({}),
      }),
    )
    .min(1)
    .max(64),
  /** Specs of IPPools; default: one per family. */
  pools: z.array(z.looseObject({ cidr: z.string() })).optional(),
  ipv6: z.boolean().default(true),
  /** Encapsulation between nodes, for pools that do not set it. */
  encap: z.enum(['auto', 'none', 'ipip', 'vxlan']).default('auto'),
  mode: z.enum(['Always', 'CrossSubnet']).default('CrossSubnet'),
  /** Further objects, created as kubectl would before the agents start. */
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

/** Returns a topology of `node1` … with pods `node1-a` …; the first nodes are in the first subnet. */
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

/** Resolves `auto`: none within one subnet; between subnets IPIP if the kernel supports it, else VXLAN. */
export function chooseEncap({ encap, nodes }: Topology, hasIpip: boolean): Exclude<Encap, 'auto'> {
  if (encap !== 'auto') return encap;
  if (nodes.every(({ subnet }) => subnet === nodes[0]!.subnet)) return 'none';
  return hasIpip ? 'ipip' : 'vxlan';
}

/** Returns the modes of an IPPool. IPIP carries only IPv4, so IPv6 uses VXLAN alongside it. */
export function poolModes(
  encap: Exclude<Encap, 'auto'>,
  mode: Topology['mode'],
  family: Family,
): { ipipMode?: string; vxlanMode?: string } {
  if (encap === 'none') return {};
  return encap === 'ipip' && family === 4 ? { ipipMode: mode } : { vxlanMode: mode };
}

/** Returns a … z, then a1 … */
function podSuffix(index: number): string {
  const letter = String.fromCharCode(97 + (index % 26));
  return index < 26 ? letter : `${letter}${Math.floor(index / 26)}`;
}

/** Reads a topology from a YAML file. Throws CodedError TOPOLOGY with the invalid field. */
export async function readTopology(file: string): Promise<Topology> {
  try {
    const result = topology.safeParse(parseYaml(await readFile(file, 'utf8')), { error: schemaSentence });
    if (result.success) {
      assertUniqueNames(result.data);
      return result.data;
    }
    const [issue] = result.error.issues;
    throw new Error(`${fieldPath(issue?.path ?? [])}: ${issue?.message}`);
  } catch (error) {
    throw new CodedError('TOPOLOGY', `topology ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** Throws CodedError NAME when two nodes or pods have the same name. */
function assertUniqueNames({ nodes }: Topology): void {
  const used: { nodes: string[]; pods: string[] } = { nodes: [], pods: [] };
  for (const node of nodes) {
    assertFreeName('node', node.name, used);
    used.nodes.push(node.name);
  }
  for (const pod of nodes.flatMap(({ pods }) => pods)) {
    assertFreeName('pod', pod, used);
    used.pods.push(pod);
  }
}
