/** The text fields of a kind, and objects with another text in one of them. */
import { z } from 'zod';
import { nodeAnnotations, podAnnotations } from '../../datastore/schema/core.ts';
import type { ResourceDefinition } from '../../datastore/schema/resource.ts';

/** Path of a text field; `[]` is a list's first element, `{}` the value of a map's key, `{key}` the key itself. */
export type TextPath = readonly string[];

interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

/** Returns the path of every field of a kind's schema that may hold text. */
export function textPaths(definition: ResourceDefinition): TextPath[] {
  const schema = z.toJSONSchema(definition.schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const paths = walk(schema, []);
  const known =
    definition.kind === 'Pod' || definition.kind === 'Namespace' ? podAnnotations : nodeAnnotations;
  const annotations = Object.values(known).map((key) => ['metadata', 'annotations', key]);
  return [...new Map([...paths, ...annotations].map((path) => [JSON.stringify(path), path])).values()];
}

function walk(schema: JsonSchema, at: TextPath): TextPath[] {
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return options.flatMap((option) => walk(option, at));
  if (schema.type === 'array') return [at, ...(schema.items ? walk(schema.items, [...at, '[]']) : [])];
  const named = Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => walk(inner, [...at, key]));
  const isMap =
    typeof schema.additionalProperties === 'object' && Object.keys(schema.additionalProperties).length > 0;
  const mapped = isMap
    ? [[...at, '{key}'], ...walk(schema.additionalProperties as JsonSchema, [...at, '{}'])]
    : [];
  if (named.length + mapped.length > 0) return [...named, ...mapped];
  // An attacker may also write text into numbers, booleans and unchecked objects.
  return [at];
}

/** Returns a copy of the object with the text at a path. */
export function withText(object: object, path: TextPath, text: string): object {
  return put(object, path, text) as object;
}

function put(value: unknown, [step, ...rest]: TextPath, text: string): unknown {
  if (step === undefined) return text;
  if (step === '[]') {
    const list = Array.isArray(value) ? value : [];
    return [put(list[0], rest, text), ...list.slice(1)];
  }
  const record = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  if (step === '{key}') return entries(record, text, Object.values(record)[0] ?? 'value');
  const key = step === '{}' ? (Object.keys(record)[0] ?? 'key') : step;
  return entries(record, key, put(Object.hasOwn(record, key) ? record[key] : undefined, rest, text));
}

/** Returns a copy of the record with one field set. Like JSON.parse, it makes `__proto__` an own field. */
function entries(record: Readonly<Record<string, unknown>>, key: string, value: unknown): object {
  return Object.fromEntries([...Object.entries(record).filter(([name]) => name !== key), [key, value]]);
}
