import { beforeEach, describe, expect, it } from 'vitest';
import { perform, type Verb, type VerbFlags } from '../../../calictl/verbs.ts';
import { DatastoreError } from '../../../datastore/errors.ts';
import { clusterInformationKind } from '../../../datastore/schema/cluster.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import type { AnyResource, ResourceDefinition } from '../../../datastore/schema/resource.ts';
import { MemoryApi } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

let store: MemoryApi;
beforeEach(() => {
  store = new MemoryApi();
});

const pool = (name: string, metadata: object = {}, spec: object = {}): AnyResource => {
  const object = ipPool('10.0.0.0/24', spec, name);
  return { ...object, metadata: { ...object.metadata, ...metadata } };
};
const run = (
  verb: Verb,
  objects: readonly AnyResource[],
  flags: VerbFlags = {},
  definition: ResourceDefinition = ipPoolKind,
) =>
  perform(
    store,
    verb,
    objects.map((object, index) => ({ definition, object, place: `file, document ${index + 1}` })),
    flags,
    () => undefined,
  );
const names = () => store.all(ipPoolKind).map(({ metadata }) => metadata.name);
const exists = (name: string) => store.create(ipPoolKind, pool(name));
/** Runs `act` before the first operation of this name. */
function once(operation: string, act: () => unknown): void {
  let isDone = false;
  store.before = async (one) => {
    if (one !== operation || isDone) return;
    isDone = true;
    await act();
  };
}

describe('apply', () => {
  it('creates what is missing and replaces the rest', async () => {
    await exists('a');
    expect(await run('apply', [pool('a', {}, { disabled: true }), pool('b')])).toEqual({
      text: "Successfully applied 2 'IPPool' resource(s)",
      failures: [],
    });
    expect(store.all(ipPoolKind)[0]).toMatchObject({ spec: { disabled: true } });
    expect(names()).toEqual(['a', 'b']);
  });

  it('replaces an object that another program creates or changes meanwhile', async () => {
    once('create', () => exists('a'));
    expect((await run('apply', [pool('a', {}, { disabled: true })])).failures).toEqual([]);
    once('update', () => store.patch(ipPoolKind, 'a', { metadata: { labels: { x: 'y' } } }));
    expect((await run('apply', [pool('a')])).failures).toEqual([]);
  });

  it('gives up after five conflicts', async () => {
    await exists('a');
    let updates = 0;
    store.before = async (operation) => {
      if (operation !== 'update') return;
      updates++;
      throw new DatastoreError('CONFLICT', 'has been modified');
    };
    expect((await run('apply', [pool('a', {}, { disabled: true })])).failures).toEqual([
      "Failed to apply 'IPPool' resource a: has been modified",
    ]);
    expect(updates).toBe(5);
  });

  it('refuses an outdated version and another uid, without repeating', async () => {
    await exists('a');
    const outdated = await run('apply', [pool('a', { resourceVersion: '0' })]);
    expect(outdated.failures).toEqual([
      expect.stringContaining('resource version 0 is out of date (latest: 1)'),
    ]);
    const other = await run('apply', [pool('a', { uid: 'other' })]);
    expect(other.failures).toEqual([expect.stringContaining('metadata.uid is other, the stored object has')]);
  });
});

describe('create, replace and delete', () => {
  it('create refuses what exists, or skips it', async () => {
    await exists('a');
    expect(await run('create', [pool('a'), pool('b')])).toEqual({
      text: "Partial success: created 1 out of 2 'IPPool' resources",
      failures: [expect.stringMatching(/^file, document 1: Failed to create 'IPPool' resource a: /)],
    });
    expect(await run('create', [pool('a')], { skipExists: true })).toEqual({
      text: "Successfully created 0 'IPPool' resource(s), skipped 1 that already exist",
      failures: [],
    });
  });

  it('replace creates nothing', async () => {
    expect((await run('replace', [pool('a')])).failures).toEqual([
      "Failed to replace 'IPPool' resource a: resource does not exist: IPPool(a)",
    ]);
    expect(names()).toEqual([]);
  });

  it('delete removes only the version in the file', async () => {
    await exists('a');
    expect((await run('delete', [pool('a', { resourceVersion: '0' })])).failures).toHaveLength(1);
    expect((await run('delete', [pool('a', { resourceVersion: '1' })])).failures).toEqual([]);
    expect(names()).toEqual([]);
  });
});

describe('several objects', () => {
  it('are handled in order, and a failure does not stop the others', async () => {
    await exists('b');
    const { text, failures } = await run('delete', [pool('a'), pool('b')]);
    expect([text, failures.length, names()]).toEqual([
      "Partial success: deleted 1 out of 2 'IPPool' resources",
      1,
      [],
    ]);
  });

  it('end with the first failure when the server cannot be reached', async () => {
    store.before = async () => {
      throw new DatastoreError('UNAVAILABLE', 'no answer');
    };
    expect(await run('apply', [pool('a'), pool('b'), pool('c')])).toEqual({
      text: '',
      failures: [expect.stringContaining('no answer')],
    });
  });

  it('may be none', async () => {
    expect(await run('apply', [])).toEqual({ text: 'No resources specified', failures: [] });
  });
});

it.each(['apply', 'create', 'delete'] as const)('%s of ClusterInformation is refused', async (verb) => {
  const information = {
    apiVersion: 'projectcalico.org/v3',
    kind: 'ClusterInformation',
    metadata: { name: 'default' },
  };
  const { failures } = await run(verb, [information], {}, clusterInformationKind);
  expect(failures).toEqual([expect.stringContaining('the agents maintain ClusterInformation')]);
});

it('an error of the program is not reported as one of the object', async () => {
  store.before = async () => {
    throw new TypeError('broken');
  };
  await expect(run('apply', [pool('a')])).rejects.toThrow(TypeError);
});
