import { describe, expect, it } from 'vitest';
import { type Access, missing } from '../../../calictl/access.ts';
import { change } from '../../../calictl/change.ts';
import { DatastoreError } from '../../../datastore/errors.ts';
import type { AnyResource } from '../../../datastore/schema/resource.ts';

const target = { name: 'a', namespace: undefined };
const conflict = () => new DatastoreError('CONFLICT', 'the object has been modified');

/** Returns an access to one object. `refuse` returns the error of the nth write, if it fails. */
function accessTo(stored: unknown, refuse: (attempt: number) => Error | undefined = () => undefined) {
  const written: AnyResource[] = [];
  let attempts = 0;
  const access = {
    get: async () => stored,
    replace: async (object: AnyResource) => {
      const error = refuse(++attempts);
      if (error) throw error;
      written.push(object);
    },
  };
  return { access: access as Pick<Access, 'get' | 'replace'> as Access, written, attempts: () => attempts };
}

const object = (labels: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name: 'a', labels },
});
const label = (one: AnyResource) => ({ ...one, metadata: { ...one.metadata, labels: { b: '1' } } });

describe('a change of an object', () => {
  it('is written once', async () => {
    const { access, written } = accessTo(object({}));
    expect(await change(access, 'Thing', target, label)).toBe(true);
    expect(written).toEqual([object({ b: '1' })]);
  });

  it('is not written when it changes nothing', async () => {
    const { access, written } = accessTo(object({ b: '1' }));
    expect(await change(access, 'Thing', target, label)).toBe(false);
    expect(written).toEqual([]);
  });

  it('is repeated on the new object when another write came first', async () => {
    const { access, written, attempts } = accessTo(object({}), (n) => (n < 5 ? conflict() : undefined));
    expect(await change(access, 'Thing', target, label)).toBe(true);
    expect([written.length, attempts()]).toEqual([1, 5]);
  });

  it('gives up after five conflicts', async () => {
    const { access, attempts } = accessTo(object({}), conflict);
    await expect(change(access, 'Thing', target, label)).rejects.toThrow('has been modified');
    expect(attempts()).toBe(5);
  });

  it('is not repeated after another failure', async () => {
    const { access, attempts } = accessTo(object({}), () => new DatastoreError('FORBIDDEN', 'no'));
    await expect(change(access, 'Thing', target, label)).rejects.toThrow('no');
    expect(attempts()).toBe(1);
  });

  it.each([undefined, 'text', {}])(
    'of what the API returns as %j fails, because there is no object',
    async (raw) => {
      const { access } = accessTo(raw);
      await expect(change(access, 'Thing', target, label)).rejects.toThrow(missing('Thing', 'a').message);
    },
  );
});
