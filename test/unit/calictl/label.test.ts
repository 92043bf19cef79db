import { beforeEach, describe, expect, it } from 'vitest';
import { type LabelFlags, label } from '../../../calictl/label.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { MemoryApi } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

let store: MemoryApi;
beforeEach(async () => {
  store = new MemoryApi();
  const pool = ipPool('10.0.0.0/24');
  await store.create(ipPoolKind, { ...pool, metadata: { ...pool.metadata, labels: { rack: 'a' } } });
});

function run(texts: readonly string[], flags: Partial<LabelFlags> = {}): Promise<string> {
  const all = { overwrite: false, remove: false, ...flags };
  return label(store, 'ippool', 'p', texts, all, () => undefined);
}
const labels = async () => (await store.get(ipPoolKind, 'p'))?.metadata.labels;

describe('calictl label', () => {
  it('sets several labels at once, and a value may be empty or contain an equals sign', async () => {
    expect(await run(['b=', 'c=x=y', 'rack=a'])).toBe(
      [
        'Successfully set label b on IPPool p',
        'Successfully set label c on IPPool p',
        'Successfully updated label rack on IPPool p',
      ].join('\n'),
    );
    expect(await labels()).toEqual({ rack: 'a', b: '', c: 'x=y' });
  });

  it('replaces a value only with --overwrite', async () => {
    await expect(run(['rack=b'])).rejects.toThrow(
      'label rack of IPPool p is a: add --overwrite to change it',
    );
    expect(await labels()).toEqual({ rack: 'a' });
    await run(['rack=b'], { overwrite: true });
    expect(await labels()).toEqual({ rack: 'b' });
  });

  it('changes nothing when one of several labels is refused', async () => {
    await expect(run(['new=1', 'rack=b'])).rejects.toThrow('--overwrite');
    await expect(run(['rack', 'none'], { remove: true })).rejects.toThrow('key none does not exist');
    expect(await labels()).toEqual({ rack: 'a' });
  });

  it('removes labels', async () => {
    expect(await run(['rack'], { remove: true })).toBe('Successfully removed label rack from IPPool p');
    expect(await labels()).toEqual({});
  });

  it('treats names of JavaScript properties as labels like others', async () => {
    await run(['constructor=1']);
    expect(await labels()).toEqual({ rack: 'a', constructor: '1' });
    await expect(run(['toString'], { remove: true })).rejects.toThrow('key toString does not exist');
  });

  it.each([
    ['rack', false],
    ['=a', false],
    ['', false],
    ['rack=a', true],
    ['rack=', true],
  ])('refuses %j with remove %s', async (text, remove) => {
    await expect(run([text], { remove })).rejects.toThrow(
      `label ${text}: write key=value, or key with --remove`,
    );
  });

  it('of a pool that does not exist fails', async () => {
    const flags = { overwrite: false, remove: false };
    await expect(label(store, 'ippool', 'none', ['a=b'], flags, () => undefined)).rejects.toThrow(
      'resource does not exist: IPPool(none)',
    );
  });
});
