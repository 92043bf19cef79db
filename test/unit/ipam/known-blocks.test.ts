import { describe, expect, it } from 'vitest';
import { type IPAMBlock, ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { newBlock } from '../../../ipam/block.ts';
import { KnownBlocks } from '../../../ipam/known-blocks.ts';

const CIDR = '10.1.0.0/26';
const block = (resourceVersion: string, cidr = CIDR): IPAMBlock =>
  ipamBlockKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPAMBlock',
    metadata: { name: cidr.replace(/[./]/g, '-'), resourceVersion },
    spec: newBlock(cidr, 'n1', 1),
  });

/** Returns the blocks of a watch that the test advances, and those that the node knows. */
function world(...seen: IPAMBlock[]) {
  const watch = { seen };
  const known = new KnownBlocks(() => watch.seen);
  const versions = () => known.all().map(({ metadata }) => metadata.resourceVersion);
  return { watch, known, versions };
}

describe('the blocks that a node knows', () => {
  it('are those of the watch', () => {
    const { known, versions } = world(block('5'), block('6', '10.1.0.64/26'));
    expect(versions()).toEqual(['5', '6']);
    expect(known.get(CIDR)?.metadata.resourceVersion).toBe('5');
    expect(known.get('10.9.0.0/26')).toBeUndefined();
  });

  it('include what the node wrote before the watch shows it, compared as numbers', () => {
    const { watch, known, versions } = world(block('9'));
    known.remember(block('10'));
    known.remember(block('11', '10.1.0.64/26'));
    expect(versions()).toEqual(['10', '11']);
    expect(known.get(CIDR)?.metadata.resourceVersion).toBe('10');
    watch.seen = [block('12')];
    expect(known.get(CIDR)?.metadata.resourceVersion).toBe('12');
  });

  it('follow the watch again once it has caught up, also when it removes the block', () => {
    const { watch, known, versions } = world(block('9'));
    known.remember(block('10'));
    watch.seen = [block('10')];
    expect(versions()).toEqual(['10']);
    watch.seen = [];
    expect(versions()).toEqual([]);
  });

  it('exclude a block that the node found gone, until the watch shows a newer one', () => {
    const { watch, known, versions } = world(block('9'));
    known.forget(block('10'));
    expect([versions(), known.get(CIDR)]).toEqual([[], undefined]);
    watch.seen = [block('10')];
    expect(versions()).toEqual([]);
    watch.seen = [block('11')];
    expect(versions()).toEqual(['11']);
  });

  it('forget that a block was gone once the watch shows that too', () => {
    const { watch, known, versions } = world(block('9'));
    known.forget(block('9'));
    watch.seen = [];
    expect(versions()).toEqual([]);
    // A server whose versions began again.
    watch.seen = [block('3')];
    expect(versions()).toEqual(['3']);
  });
});
