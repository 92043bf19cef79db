import { beforeEach, describe, expect, it } from 'vitest';
import { createMissing } from '../../../datastore/create-missing.ts';
import { DatastoreError } from '../../../datastore/errors.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { getTolerant } from '../../../datastore/tolerant.ts';
import { MemoryApi } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

let store: MemoryApi;
beforeEach(() => {
  store = new MemoryApi();
});

describe('a tolerant read', () => {
  it('tells an absent object from one that cannot be read', async () => {
    expect(await getTolerant(store, ipPoolKind, 'p')).toEqual({ object: undefined });
    store.put(ipPoolKind, 'p', {});
    expect(await getTolerant(store, ipPoolKind, 'p')).toEqual({
      object: undefined,
      unreadable: 'IPPool p cannot be read',
    });
  });

  it.each(['UNAVAILABLE', 'FORBIDDEN'] as const)('fails when the server does, with %s', async (code) => {
    store.before = async () => {
      throw new DatastoreError(code, 'no');
    };
    await expect(getTolerant(store, ipPoolKind, 'p')).rejects.toMatchObject({ code });
  });
});

describe('the creation of an object that another program may create too', () => {
  it('reports who created it, and keeps the first one', async () => {
    expect(await createMissing(store, ipPoolKind, ipPool('10.0.0.0/24'))).toBe(true);
    expect(await createMissing(store, ipPoolKind, ipPool('10.1.0.0/24'))).toBe(false);
    expect(store.all(ipPoolKind)).toMatchObject([{ spec: { cidr: '10.0.0.0/24' } }]);
  });

  it('fails for every other reason', async () => {
    store.before = async () => {
      throw new DatastoreError('FORBIDDEN', 'no');
    };
    await expect(createMissing(store, ipPoolKind, ipPool('10.0.0.0/24'))).rejects.toThrow('no');
  });
});
