/** Validates an object against its kind, sets defaults, and lists unknown fields. Every fault is a sentence. */

import { isAnnotationKey, isLabelValue, isQualifiedName } from '../lib/kubernetes-names.ts';
import { nearest } from '../lib/nearest.ts';
import { fieldPath, partsOfPath } from './field-path.ts';
import { jsonSchemaOf } from './json-schema.ts';
import {
  type AnyResource,
  type Existing,
  type FieldError,
  metadataFields,
  type ResourceDefinition,
} from './schema/resource.ts';
import { schemaSentence } from './schema-sentences.ts';

export type Validation =
  | { readonly ok: true; readonly object: AnyResource; readonly unknownFields: readonly string[] }
  | { readonly ok: false; readonly errors: readonly FieldError[]; readonly unknownFields: readonly string[] };

const nothingExists: Existing = { list: () => [] };

/** RFC 1123 subdomain, which the API server requires of names. */
const namePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

const KEY =
  'must be a name of at most 63 letters, digits, "-", "_" and ".", with an optional prefix of a DNS name and a slash';
/** Kubernetes' limit for all annotations of an object, bytes. */
const MAX_ANNOTATIONS = 256 * 1024;

/**
 * Validates an object and sets defaults. It prunes unknown fields, as a structural CRD does, and returns their paths.
 * The caller decides whether they are an error (`kubectl --validate=strict`).
 */
export function validateResource(
  definition: ResourceDefinition,
  input: unknown,
  old?: AnyResource,
  existing: Existing = nothingExists,
): Validation {
  const { value, unknownFields, errors } = parsePruned(definition, input);
  const given = memberOf(input, 'metadata') ?? {};
  const strange = Object.keys(given).filter((field) => !metadataFields.includes(field));
  unknownFields.push(...strange.map((field) => `metadata.${field}`));
  if (!value) return { ok: false, errors, unknownFields };
  for (const field of strange) delete value.metadata[field];
  const { name } = value.metadata;
  const faults: FieldError[] =
    name.length <= 253 && namePattern.test(name)
      ? []
      : [
          {
            field: 'metadata.name',
            value: name,
            message:
              'must consist of lower case letters, digits, "-" and ".", and start and end with a letter or digit',
          },
        ];
  faults.push(...keyFaults(given), ...metadataFaults(value.metadata));
  faults.push(...(definition.validate?.(value, old, existing) ?? []));
  return faults.length > 0
    ? { ok: false, errors: faults, unknownFields }
    : { ok: true, object: value, unknownFields };
}

/** Validates the keys of labels and annotations as given: the schema drops a key `__proto__` silently. */
function keyFaults(metadata: object): FieldError[] {
  return (['labels', 'annotations'] as const).flatMap((field) => {
    const isKey = field === 'labels' ? isQualifiedName : isAnnotationKey;
    const wrong = Object.keys(memberOf(metadata, field) ?? {}).filter((key) => !isKey(key));
    return wrong.map((key) => ({ field: `metadata.${field}`, value: key, message: KEY }));
  });
}

/** Validates the values of labels and annotations, as every API server does. */
function metadataFaults({ labels, annotations }: AnyResource['metadata']): FieldError[] {
  const faults: FieldError[] = Object.entries(labels ?? {})
    .filter(([, value]) => !isLabelValue(value))
    .map(([key, value]) => ({
      field: `metadata.labels.${key}`,
      value,
      message:
        'must be at most 63 letters, digits, "-", "_" and ".", and start and end with a letter or digit',
    }));
  let size = 0;
  for (const [key, value] of Object.entries(annotations ?? {}))
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  if (size > MAX_ANNOTATIONS)
    faults.push({
      field: 'metadata.annotations',
      message: `must be at most ${MAX_ANNOTATIONS} bytes in total`,
    });
  return faults;
}

/** Removes a `spec` that is null (an empty `spec:`), as the API server does for fields that need an object. */
function withoutNullSpec(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || !('spec' in input) || input.spec !== null) return input;
  const { spec: _, ...others } = input;
  return others;
}

function parsePruned(definition: ResourceDefinition, input: unknown) {
  const given = withoutNullSpec(input);
  const first = definition.schema.safeParse(given, { error: schemaSentence });
  if (first.success) return { value: first.data as AnyResource, unknownFields: [] as string[], errors: [] };
  const unknownFields: string[] = [];
  const pruned = structuredClone(given);
  for (const issue of first.error.issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    for (const key of issue.keys) {
      unknownFields.push(fieldPath([...issue.path, key]));
      const parent = issue.path.reduce<unknown>(
        (value, part) => (value as Record<PropertyKey, unknown>)[part],
        pruned,
      );
      delete (parent as Record<string, unknown>)[key];
    }
  }
  const second =
    unknownFields.length > 0 ? definition.schema.safeParse(pruned, { error: schemaSentence }) : first;
  if (second.success) return { value: second.data as AnyResource, unknownFields, errors: [] };
  const errors = second.error.issues
    .filter((issue) => issue.code !== 'unrecognized_keys')
    .map((issue) => ({
      field: fieldPath(issue.path) || '(object)',
      message: issue.message,
      value: issue.path.reduce<unknown>(
        (value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part],
        input,
      ),
    }));
  return { value: undefined, unknownFields, errors };
}

/** Returns a sentence such as `unknown field "spec.bgpEnabled": did you mean "bpfEnabled"?` */
export function describeUnknownField(definition: ResourceDefinition, path: string): string {
  const parts = partsOfPath(path);
  const name = parts.pop()!;
  const close = nearest(name, fieldNames(definition, parts));
  return `unknown field "${path}"${close === undefined ? '' : `: did you mean "${close}"?`}`;
}

/** Returns the names of the kind's fields at a path. Indices of lists in the path are skipped. */
function fieldNames(definition: ResourceDefinition, path: readonly string[]): readonly string[] {
  if (path.join('.') === 'metadata') return metadataFields;
  const at = path.reduce<unknown>((schema, part) => {
    const items = memberOf(schema, 'items');
    return items ?? memberOf(memberOf(schema, 'properties'), part);
  }, jsonSchemaOf(definition));
  return Object.keys(memberOf(at, 'properties') ?? {});
}

function memberOf(value: unknown, name: string): object | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  const member: unknown = Reflect.get(value, name);
  return typeof member === 'object' && member !== null ? member : undefined;
}

/** Returns the API server's sentence for an invalid object. */
export function describeInvalid(
  definition: ResourceDefinition,
  name: string,
  errors: readonly FieldError[],
): string {
  const faults = errors.map(({ field, value, message }) =>
    value === undefined
      ? `${field}: ${message}`
      : `${field}: Invalid value: ${JSON.stringify(value)}: ${message}`,
  );
  const group = definition.group === '' ? '' : `.${definition.group}`;
  const list = faults.length === 1 ? faults[0] : `[${faults.join(', ')}]`;
  return `${definition.kind}${group} "${name}" is invalid: ${list}`;
}
