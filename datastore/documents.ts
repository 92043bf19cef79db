/** Parses files of resources: YAML or JSON, with several documents and lists. Every fault is a sentence. */
import { CodedError } from '../lib/errors.ts';
import { printable } from '../lib/plain-text.ts';
import { readYaml, type YamlReading } from '../lib/yaml.ts';
import { fieldPath } from './field-path.ts';
import { findKind } from './registry.ts';
import { type AnyResource, anyResource, apiVersionOf, type ResourceDefinition } from './schema/resource.ts';
import { schemaSentence } from './schema-sentences.ts';
import { describeInvalid, describeUnknownField, validateResource } from './validate.ts';

export interface Document {
  readonly definition: ResourceDefinition;
  readonly object: AnyResource;
  /** Position: `pools.yaml`, or `pools.yaml, document 2` when the file has several. */
  readonly place: string;
}

/** How to validate documents. */
export interface Judgement {
  /** Returns the kind of a document, or a sentence with the reason why it has none. */
  readonly resolve: (kind: string, apiVersion: string) => ResourceDefinition | string;
  /** Validates only kind and name, as for a deletion. */
  readonly isNameEnough?: boolean;
}

export interface ParsedText {
  readonly documents: readonly Document[];
  /** One sentence per faulty document, with its position. */
  readonly faults: readonly string[];
}

/** Longest text of a kind or version in a sentence. */
const MAX_SHOWN = 100;

/** Returns a file's valid documents and the faults of the others. `file` is its name in sentences. Never throws. */
export function parseText(text: string, file: string, judgement: Judgement): ParsedText {
  const values = readYaml(text).flatMap((reading, index, all) =>
    valuesOf(reading, all.length > 1 ? `${file}, document ${index + 1}` : file),
  );
  const judged = values.map((one) => ('fault' in one ? one.fault : judge(one.value, one.place, judgement)));
  return {
    documents: judged.filter((one) => typeof one !== 'string'),
    faults: judged.filter((one) => typeof one === 'string'),
  };
}

/** Returns all documents of a text. Throws CodedError INPUT with file, object and field of each fault. */
export function parseDocuments(text: string, file: string): Document[] {
  const { documents, faults } = parseText(text, file, { resolve: registered });
  if (faults.length > 0) throw new CodedError('INPUT', faults.join('\n'));
  if (documents.length === 0) throw new CodedError('INPUT', `${file}: contains no resources`);
  return [...documents];
}

/** Returns a kind that the API serves, or a sentence when the kind or its version is unknown. */
export function registered(kind: string, apiVersion: string): ResourceDefinition | string {
  const definition = findKind(kind);
  if (!definition) return `unknown kind ${printable(kind, MAX_SHOWN)}`;
  const expected = apiVersionOf(definition);
  if (apiVersion === expected) return definition;
  return `apiVersion is ${printable(apiVersion, MAX_SHOWN)} but must be ${expected}`;
}

type Value = { readonly value: unknown; readonly place: string } | { readonly fault: string };

/** Returns the objects of a document: the items of a list, the elements of an array, or the document. */
function valuesOf(reading: YamlReading, place: string): Value[] {
  if ('fault' in reading) return [{ fault: `${place}: ${reading.fault}` }];
  const { value } = reading;
  if (value === null || value === undefined) return [];
  const items = itemsOf(value);
  if (items === undefined) return [{ value, place }];
  if (!Array.isArray(items)) return [{ fault: `${place}: items must be a list` }];
  return items.map((item: unknown, index) => ({ value: item, place: `${place}, item ${index + 1}` }));
}

/** Returns the items of a list; undefined for other values. */
function itemsOf(value: unknown): unknown {
  if (Array.isArray(value)) return value;
  if (typeof value !== 'object' || value === null || !('kind' in value)) return undefined;
  const { kind } = value;
  if (typeof kind !== 'string' || !kind.endsWith('List')) return undefined;
  // A list without elements may be null.
  return 'items' in value ? (value.items ?? []) : 'missing';
}

/** Returns the document, or a sentence with its fault. */
function judge(written: unknown, place: string, { resolve, isNameEnough }: Judgement): Document | string {
  const value = asWritten(written);
  if (typeof value !== 'object' || value === null)
    return `${place}: is not an object: it must have apiVersion, kind and metadata.name`;
  const kind = 'kind' in value ? value.kind : undefined;
  const apiVersion = 'apiVersion' in value ? value.apiVersion : undefined;
  if (typeof kind !== 'string' || kind === '') return `${place}: has no kind`;
  const title = `${place}: ${printable(kind, MAX_SHOWN)} ${nameOf(value)}`;
  if (typeof apiVersion !== 'string') return `${title}: has no apiVersion`;
  const definition = resolve(kind, apiVersion);
  if (typeof definition === 'string') return `${title}: ${definition}`;
  const read = anyResource.safeParse(value, { error: schemaSentence });
  if (!read.success) return `${title}: ${metadataFault(read.error.issues)}`;
  const { data: object } = read;
  if (isNameEnough) return { definition, object, place };
  const { unknownFields, ...result } = validateResource(definition, value);
  const faults = [
    ...(result.ok ? [] : [describeInvalid(definition, object.metadata.name, result.errors)]),
    ...(unknownFields.length > 0
      ? [
          `${kind} ${object.metadata.name}: ${unknownFields.map((field) => describeUnknownField(definition, field)).join(', ')}`,
        ]
      : []),
  ].filter((fault) => fault !== '');
  return faults.length > 0 ? `${place}: ${faults.join('; ')}` : { definition, object, place };
}

/** Returns the sentence of the first fault, such as `metadata.name: is required`. */
function metadataFault([issue]: readonly {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}[]): string {
  if (!issue || issue.path.length < 2) return 'has no metadata: write metadata.name';
  return `${printable(fieldPath(issue.path), MAX_SHOWN)}: ${issue.message}`;
}

/** Maps of text, whose values YAML parses as numbers or booleans unless they are quoted. */
const textMaps = ['labels', 'annotations'] as const;

/** Converts a document as calicoctl does: labels and annotations become text, and a null field is absent. */
function asWritten(value: unknown): unknown {
  const object = withoutNulls(value);
  if (!isRecord(object) || !isRecord(object['metadata']) || !isRecord(value)) return object;
  const metadata = { ...object['metadata'] };
  for (const field of textMaps) {
    const texts = isRecord(value['metadata']) ? value['metadata'][field] : undefined;
    if (isRecord(texts)) metadata[field] = Object.fromEntries(Object.entries(texts).map(asText));
  }
  return { ...object, metadata };
}

/** Converts a value of a label as Go does: null is the empty text. */
function asText([key, value]: [string, unknown]): [string, unknown] {
  return [key, typeof value === 'number' || typeof value === 'boolean' ? String(value) : (value ?? '')];
}

/** Removes fields that are null. Null elements of lists stay, so that the others keep their index. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => (item === null ? null : withoutNulls(item)));
  if (!isRecord(value)) return value;
  const present = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(present.map(([key, field]) => [key, withoutNulls(field)]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nameOf(value: object): string {
  const metadata = 'metadata' in value ? value.metadata : undefined;
  const name =
    typeof metadata === 'object' && metadata !== null && 'name' in metadata ? metadata.name : undefined;
  return typeof name === 'string' ? printable(name, MAX_SHOWN) : '(no name)';
}
