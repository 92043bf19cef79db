/** OpenAPI documents. `kubectl apply` needs version 3 to validate on the server, and `kubectl explain` reads it. */
import { jsonSchemaOf } from '../json-schema.ts';
import { registry } from '../registry.ts';
import type { ResourceDefinition } from '../schema/resource.ts';

/** Returns the document for a path below /openapi/v3, or undefined. */
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
 * The document at /openapi/v2, which kubectl before 1.24 requests in protobuf. It has no definitions (field 1,
 * `swagger`, is "2.0"), so kubectl leaves validation to the server.
 */
export const openApiV2 = {
  // The registered type has an "@" in its name, which Go does not parse as a media type.
  contentType: 'application/octet-stream',
  protobuf: Uint8Array.of(0x0a, 0x03, 0x32, 0x2e, 0x30),
  json: { swagger: '2.0', info: { title: 'Cali embedded API', version: 'v1' }, paths: {} },
};
