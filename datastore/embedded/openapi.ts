/** OpenAPI documents. Version 3: so that `kubectl apply` validates on the server and `kubectl explain` explains. */
import { jsonSchemaOf } from '../json-schema.ts';
import { registry } from '../registry.ts';
import type { ResourceDefinition } from '../schema/resource.ts';

/** Document for a path below /openapi/v3; undefined when there is none. */
export function openApiDocument(path: string): object | undefined {
  if (path === '/openapi/v3') {
    const entries = groupVersions().map((gv) => [gv, { serverRelativeURL: `/openapi/v3/${gv}` }]);
    return { paths: Object.fromEntries(entries) };
  }
  const wanted = path.slice('/openapi/v3/'.length);
  return groupVersions().includes(wanted) ? groupDocument(wanted) : undefined;
}

function pathOf({ group, version }: ResourceDefinition): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

function groupVersions(): string[] {
  return [...new Set(registry.map(pathOf))];
}

function groupDocument(gv: string): object {
  const kinds = registry.filter((definition) => pathOf(definition) === gv);
  const schemas: Record<string, object> = {};
  const paths: Record<string, object> = {};
  for (const definition of kinds) {
    const { group, version, kind } = definition;
    const gvk = { group, version, kind };
    const scope = definition.namespaced ? 'namespaces/{namespace}/' : '';
    schemas[`${group || 'core'}.${version}.${kind}`] = {
      ...jsonSchemaOf(definition),
      'x-kubernetes-group-version-kind': [gvk],
    };
    const fieldValidation = { name: 'fieldValidation', in: 'query', schema: { type: 'string' } };
    const operation = {
      parameters: [fieldValidation],
      responses: { 200: { description: 'OK' } },
      'x-kubernetes-group-version-kind': gvk,
    };
    paths[`/${gv}/${scope}${definition.plural}`] = { post: { ...operation, 'x-kubernetes-action': 'post' } };
    paths[`/${gv}/${scope}${definition.plural}/{name}`] = {
      patch: { ...operation, 'x-kubernetes-action': 'patch' },
      put: { ...operation, 'x-kubernetes-action': 'put' },
    };
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Cali embedded API', version: 'v1' },
    paths,
    components: { schemas },
  };
}

/**
 * What kubectl before 1.24 asks for at /openapi/v2, in protobuf: a document without definitions (field 1,
 * `swagger`, is "2.0"). kubectl then leaves validation to the server, which validates anyway.
 */
export const openApiV2 = {
  // The type's own name has an "@", which Go refuses to parse as a media type.
  contentType: 'application/octet-stream',
  protobuf: Uint8Array.of(0x0a, 0x03, 0x32, 0x2e, 0x30),
  json: { swagger: '2.0', info: { title: 'Cali embedded API', version: 'v1' }, paths: {} },
};
