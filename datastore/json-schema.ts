/** Converts the zod schemas of kinds to JSON schemas, for CRDs and for the embedded server's OpenAPI. */
import { z } from 'zod';
import type { ResourceDefinition } from './schema/resource.ts';

type JsonSchema = { [key: string]: unknown };

/** Returns the structural schema of a kind, in the OpenAPI 3.0 dialect of CustomResourceDefinitions. */
export function jsonSchemaOf(definition: ResourceDefinition): JsonSchema {
  const schema = z.toJSONSchema(definition.schema, {
    target: 'openapi-3.0',
    io: 'input',
    unrepresentable: 'any',
  });
  const { $schema: _, ...root } = schema as JsonSchema;
  const structural = structure(root) as { properties: JsonSchema };
  structural.properties = {
    ...structural.properties,
    apiVersion: { type: 'string', description: 'Group and version of this object.' },
    kind: { type: 'string', description: 'Kind of this object.' },
    // The API server has its own schema for metadata and refuses a CRD with more.
    metadata: { type: 'object' },
  };
  return structural as JsonSchema;
}

/** Converts to a structural schema, which allows neither additionalProperties with properties nor types in anyOf. */
function structure(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(structure);
  if (typeof value !== 'object' || value === null) return value;
  const source = value as JsonSchema;
  if (source['x-kubernetes-int-or-string']) {
    const { description } = source;
    return { ...(description ? { description } : {}), 'x-kubernetes-int-or-string': true };
  }
  const result: JsonSchema = {};
  for (const [key, inner] of Object.entries(source)) {
    if (key === 'additionalProperties' && 'properties' in source) {
      if (inner !== false) result['x-kubernetes-preserve-unknown-fields'] = true;
      continue;
    }
    // zod's safe-integer bounds are not rules of the field.
    if ((key === 'minimum' || key === 'maximum') && Math.abs(Number(inner)) === Number.MAX_SAFE_INTEGER)
      continue;
    if (key === 'propertyNames') continue;
    // The API server drops it, so that every `kubectl apply` would report a change.
    if (key === 'properties' && Object.keys(inner as object).length === 0) continue;
    result[key] = structure(inner);
  }
  const options = (source['anyOf'] ?? source['oneOf']) as JsonSchema[] | undefined;
  if (options) {
    delete result['anyOf'];
    delete result['oneOf'];
    const types = [...new Set(options.map((option) => option['type']))];
    if (types.length === 1) result['type'] = types[0];
    else result['x-kubernetes-preserve-unknown-fields'] = true;
  }
  return result;
}
