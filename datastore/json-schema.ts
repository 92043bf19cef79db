/** JSON schemas of the kinds, from the zod schemas: for CRDs and for the embedded server's OpenAPI. */
import { z } from 'zod';
import type { ResourceDefinition } from './schema/resource.ts';

type JsonSchema = { [key: string]: unknown };

/** Structural schema of a kind in the OpenAPI 3.0 dialect of CustomResourceDefinitions. */
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
    // The API server refuses a CRD that says more: it describes metadata itself.
    metadata: { type: 'object' },
  };
  return structural as JsonSchema;
}

/** A structural schema knows no additionalProperties: false beside properties and no anyOf with types. */
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
    // zod's safe-integer bounds say nothing about the field.
    if ((key === 'minimum' || key === 'maximum') && Math.abs(Number(inner)) === Number.MAX_SAFE_INTEGER)
      continue;
    if (key === 'propertyNames') continue;
    // The API server drops it, and would call the same manifest a change at every `kubectl apply`.
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
