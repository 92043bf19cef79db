import { describe, expect, it } from 'vitest';
import { ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { assignNext, newBlock } from '../../../ipam/block.ts';
import { blocksIn, blocksKeeping, poolsWithPods } from '../../../ipam/pool-use.ts';
import { ipPool } from '../../helpers/objects.ts';

/** Returns a block, with an address of each type. */
function block(cidr: string, ...types: string[]) {
  let spec = newBlock(cidr, 'n1', 1);
  for (const type of types)
    spec = assignNext(spec, { handleId: type, attributes: { type } }, () => false)?.block ?? spec;
  return ipamBlockKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPAMBlock',
    metadata: { name: cidr.replace(/[./]/g, '-') },
    spec,
  });
}
function deleted(cidr: string, name: string) {
  const pool = ipPool(cidr, {}, name);
  return { ...pool, metadata: { ...pool.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
}
const cidrs = (blocks: readonly { spec: { cidr: string } }[]) => blocks.map(({ spec }) => spec.cidr);

describe('the blocks of a pool', () => {
  const blocks = [block('10.1.0.0/26'), block('10.1.9.0/26'), block('10.2.0.0/26')];

  it('are those inside its network', () => {
    expect(cidrs(blocksIn(ipPool('10.1.0.0/16'), blocks))).toEqual(['10.1.0.0/26', '10.1.9.0/26']);
  });

  it('keep a deleted pool unless another pool contains them', () => {
    const gone = deleted('10.1.0.0/16', 'gone');
    expect(cidrs(blocksKeeping(gone, [gone], blocks))).toEqual(['10.1.0.0/26', '10.1.9.0/26']);
    const successor = ipPool('10.1.0.0/24', {}, 'successor');
    expect(cidrs(blocksKeeping(gone, [gone, successor], blocks))).toEqual(['10.1.9.0/26']);
    expect(cidrs(blocksKeeping(gone, [gone, deleted('10.1.0.0/24', 'too')], blocks))).toHaveLength(2);
  });
});

describe('the pools that need a tunnel', () => {
  const names = (...args: Parameters<typeof poolsWithPods>) =>
    poolsWithPods(...args).map(({ metadata }) => metadata.name);

  it('include every pool that is not being deleted', () => {
    expect(names([ipPool('10.1.0.0/16')], [])).toEqual(['p']);
  });

  it('include a deleted pool while it has addresses of pods, and not for addresses of tunnels', () => {
    const pools = [deleted('10.1.0.0/16', 'gone')];
    expect(names(pools, [block('10.1.0.0/26')])).toEqual([]);
    expect(names(pools, [block('10.1.0.0/26', 'ipipTunnelAddress', 'vxlanV6TunnelAddress')])).toEqual([]);
    expect(names(pools, [block('10.1.0.0/26', 'ipipTunnelAddress', 'pod')])).toEqual(['gone']);
  });
});
