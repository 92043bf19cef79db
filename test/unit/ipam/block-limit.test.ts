import { describe, expect, it } from 'vitest';
import { nameOfCidr } from '../../../datastore/schema/ipam.ts';
import { newBlock } from '../../../ipam/block.ts';
import { assertBlockLimit } from '../../../ipam/block-limit.ts';

const blockOf = (cidr: string, node: string) => ({
  apiVersion: 'projectcalico.org/v3' as const,
  kind: 'IPAMBlock' as const,
  metadata: { name: nameOfCidr(cidr) },
  spec: newBlock(cidr, node, 1),
});
const blocks = [
  blockOf('10.0.0.0/30', 'n1'),
  blockOf('10.0.0.4/30', 'n1'),
  blockOf('10.0.0.8/30', 'n2'),
  blockOf('fd00::/126', 'n1'),
];
const limit = (maxBlocksPerHost: number, autoAllocateBlocks = true) => ({
  strictAffinity: false,
  autoAllocateBlocks,
  maxBlocksPerHost,
});

describe('the limit of the blocks of a node', () => {
  it('counts the blocks of the node and the family', () => {
    expect(() => assertBlockLimit(4, 'n1', blocks, limit(3))).not.toThrow();
    expect(() => assertBlockLimit(4, 'n1', blocks, limit(2))).toThrow(/node n1 has 2 of 2 IPv4 blocks/);
    expect(() => assertBlockLimit(6, 'n1', blocks, limit(2))).not.toThrow();
    expect(() => assertBlockLimit(4, 'n2', blocks, limit(2))).not.toThrow();
  });

  it('is twenty when maxBlocksPerHost is zero', () => {
    const many = Array.from({ length: 20 }, (_, i) => blockOf(`10.1.0.${i * 4}/30`, 'n1'));
    expect(() => assertBlockLimit(4, 'n1', many.slice(1), limit(0))).not.toThrow();
    expect(() => assertBlockLimit(4, 'n1', many, undefined)).toThrow(/has 20 of 20/);
  });

  it('refuses every block while autoAllocateBlocks is false', () => {
    expect(() => assertBlockLimit(4, 'n3', blocks, limit(2, false))).toThrow(/node n3 has 0 of 2/);
  });
});
