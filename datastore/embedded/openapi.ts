/** OpenAPI v3 documents, so that `kubectl apply` validates on the server and `kubectl explain` explains. */
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
