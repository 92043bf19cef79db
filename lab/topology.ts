/** What the lab builds: from flags, or from a topology file for what flags cannot say (docs/lab.md). */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
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
        labels: z.record(z.string(), z.string()).default({}),
        annotations: z.record(z.string(), z.string()).default({}),
      }),
    )
    .min(1)
    .max(64),
  /** specs of IPPools; the default is one of each family. */
  pools: z.array(z.looseObject({ cidr: z.string() })).optional(),
  ipv6: z.boolean().default(true),
  /** Further objects to create before the agents start, as kubectl would. */
  objects: z.array(z.looseObject({ apiVersion: z.string(), kind: z.string() })).default([]),
});

export type Topology = z.output<typeof topology>;

/** `node1` … with pods `node1-a` … */
export function topologyOf(nodes: number, pods: number, ipv6: boolean): Topology {
  return {
    nodes: Array.from({ length: nodes }, (_, i) => ({
      name: `node${i + 1}`,
      pods: Array.from({ length: pods }, (_, j) => `node${i + 1}-${podSuffix(j)}`),
      labels: {},
      annotations: {},
    })),
    ipv6,
    objects: [],
  };
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
