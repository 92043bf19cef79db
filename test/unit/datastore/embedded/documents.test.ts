import { describe, expect, it } from 'vitest';
import { discoveryDocument } from '../../../../datastore/embedded/discovery.ts';
import { openApiDocument } from '../../../../datastore/embedded/openapi.ts';
import { tableOf, tableVersion } from '../../../../datastore/embedded/table.ts';
import { registry } from '../../../../datastore/registry.ts';
import { ipPoolKind } from '../../../../datastore/schema/ip-pool.ts';
import { apiVersionOf } from '../../../../datastore/schema/resource.ts';
import { ipPool } from '../../../helpers/objects.ts';

/** Every path below the API, as a client discovers it. */
function discovered(): string[] {
  const groups = (discoveryDocument('/apis') as { groups: { name: string }[] }).groups;
  return ['/api/v1', ...groups.map(({ name }) => `/apis/${name}`)];
}

describe('discovery', () => {
  it('leads a client from /apis to every kind', () => {
    const kinds = discovered().flatMap((path) => {
      const group = discoveryDocument(path) as { preferredVersion?: { version: string } };
      const version = group.preferredVersion?.version;
      const list = version ? discoveryDocument(`${path}/${version}`) : group;
      return (list as { resources: { kind: string; name: string }[] }).resources
        .filter(({ name }) => !name.includes('/'))
        .map(({ kind }) => kind);
    });
    expect(kinds.toSorted()).toEqual(registry.map(({ kind }) => kind).toSorted());
  });

  it.each(['/apis/none', '/apis/projectcalico.org/v3/more', '/apis/projectcalico.org/v9', '/apis/', '/', ''])(
    'has no document at %j',
    (path) => {
      expect(discoveryDocument(path)).toBeUndefined();
    },
  );
});

describe('OpenAPI', () => {
  it('has a document, which the index names, for each version', () => {
    const index = openApiDocument('/openapi/v3') as { paths: Record<string, { serverRelativeURL: string }> };
    for (const { serverRelativeURL } of Object.values(index.paths))
      expect(openApiDocument(serverRelativeURL)).toMatchObject({ openapi: '3.0.0' });
    const ofPools = openApiDocument(`/openapi/v3/apis/${apiVersionOf(ipPoolKind)}`);
    expect(JSON.stringify(ofPools)).toContain('"kind":"IPPool"');
  });

  it.each(['/openapi/v3/', '/openapi/v3/apis/none/v1', '/openapi/v3/constructor'])(
    'has no document at %s',
    (path) => {
      expect(openApiDocument(path)).toBeUndefined();
    },
  );
});

describe('a table for kubectl', () => {
  it.each([
    ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 'v1'],
    ['application/json;as=Table;v=v1beta1;g=meta.k8s.io', 'v1beta1'],
    ['application/json', undefined],
    [undefined, undefined],
  ])('is requested by the header %s as %s', (accept, version) => {
    expect(tableVersion(accept)).toBe(version);
  });

  it('has a cell for each column, and as much of the object as the client wants', () => {
    const pool = ipPool('10.0.0.0/24');
    const table = (includeObject: string | null) =>
      tableOf(ipPoolKind, [pool], { version: 'v1', includeObject, listMetadata: {}, now: 0 }) as {
        columnDefinitions: object[];
        rows: { cells: unknown[]; object?: { kind: string } }[];
      };
    const [row] = table(null).rows;
    expect(row?.cells).toHaveLength(table(null).columnDefinitions.length);
    expect(row?.cells.slice(0, 2)).toEqual(['p', '10.0.0.0/24']);
    expect(row?.object?.kind).toBe('PartialObjectMetadata');
    expect(table('Object').rows[0]?.object?.kind).toBe('IPPool');
    expect(table('None').rows[0]).not.toHaveProperty('object');
  });
});
