/**
 * Reads objects from the API. A server without our rules stores values that Cali cannot use. So the reader replaces as
 * little as is safe: an invalid field gets its former value or the fallback of its kind, or the object is rejected.
 */
import { printable } from '../lib/plain-text.ts';
import type { ObjectOf } from './datastore.ts';
import { fieldPath, partsOfPath } from './field-path.ts';
import type { AnyResource, Fallback, ResourceDefinition } from './schema/resource.ts';
import { schemaSentence } from './schema-sentences.ts';

/** Name, namespace, UID and version of an object. */
export interface Identity {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface Reading<D extends ResourceDefinition> {
  /** The object to apply; undefined when it is unusable. */
  readonly object: ObjectOf<D> | undefined;
  /** Undefined when the object is valid. */
  readonly problem?: { readonly field?: string; readonly reason: string };
}

interface Fault {
  readonly path: readonly string[];
  readonly message: string;
  readonly isHarmless?: boolean;
}

/** Rounds of correction: unknown fields, wrong fields, then rules across fields. */
const MAX_ROUNDS = 4;

/** Maximum lengths of a message and of a field's path, in characters. Both may quote untrusted text. */
const MAX_MESSAGE = 300;
const MAX_FIELD = 100;

/** Maximum length of an object's name, UID or version. */
const MAX_IDENTIFIER = 1024;

/** Returns the identity of an object; undefined when it has no usable name. */
export function identityOf(value: unknown): Identity | undefined {
  const metadata = isRecord(value) ? value['metadata'] : undefined;
  if (!isRecord(metadata)) return undefined;
  const { name, namespace, uid, resourceVersion } = metadata;
  if (!isIdentifier(name)) return undefined;
  const version = typeof resourceVersion === 'number' ? String(resourceVersion) : resourceVersion;
  return {
    name,
    ...(isIdentifier(namespace) ? { namespace } : {}),
    ...(isIdentifier(uid) ? { uid } : {}),
    ...(isIdentifier(version) ? { resourceVersion: version } : {}),
  };
}

/** Reads one version of an object; `former` is the version in force. Never throws. */
export function readObject<D extends ResourceDefinition>(
  definition: D,
  raw: unknown,
  former?: ObjectOf<D>,
): Reading<D> {
  let value = raw;
  const consequences: string[] = [];
  let first: Fault | undefined;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { object, faults } = check(definition, value);
    const isUsable = object !== undefined && faults.every(({ isHarmless }) => isHarmless);
    first ??= faults[0];
    if (isUsable) {
      const typed = object as ObjectOf<D>;
      if (!first) return { object: typed };
      return { object: typed, problem: problemOf(first, consequences[0] ?? 'the object is used unchanged') };
    }
    const corrected = correct(definition, value, faults, former as unknown as AnyResource | undefined);
    if (!corrected) break;
    value = corrected.value;
    consequences.push(corrected.consequence);
  }
  const fault = first ?? { path: [], message: 'cannot be read' };
  return former === undefined
    ? { object: undefined, problem: problemOf(fault, 'the object is ignored') }
    : { object: former, problem: problemOf(fault, 'its previous version stays in force') };
}

function problemOf({ path, message }: Fault, consequence: string): Required<Reading<never>>['problem'] {
  const reason = `${printable(message, MAX_MESSAGE)}; ${consequence}`;
  return path.length > 0 ? { field: printable(fieldPath(path), MAX_FIELD), reason } : { reason };
}

/** Validates a value by the schema, then by the rules of the kind. */
function check(definition: ResourceDefinition, value: unknown): { object?: unknown; faults: Fault[] } {
  try {
    const parsed = definition.schema.safeParse(value, { error: schemaSentence });
    if (!parsed.success) {
      const depth = definition.ignoresUnknown ? Number.POSITIVE_INFINITY : 2;
      return { faults: parsed.error.issues.flatMap((issue) => faultsOf(issue, depth)) };
    }
    const errors = definition.validate?.(parsed.data, undefined, { list: () => [] }) ?? [];
    const faults = errors.map(({ field, message, isHarmless }) => ({
      path: partsOfPath(field),
      message,
      ...(isHarmless ? { isHarmless } : {}),
    }));
    return { object: parsed.data, faults };
  } catch (error) {
    // Excessive nesting, for example.
    return { faults: [{ path: [], message: `cannot be read (${String(error)})` }] };
  }
}

/** Returns the faults of an issue. Unknown fields are removable if their parent is less than `depth` below the root. */
function faultsOf(
  issue: { code?: string | undefined; path: PropertyKey[]; message: string; keys?: string[] },
  depth: number,
): Fault[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys' && path.length < depth)
    return (issue.keys ?? []).map((key) => ({ path: [...path, key], message: UNKNOWN }));
  return [{ path, message: issue.message }];
}

const UNKNOWN = 'this version of Cali does not support the field';

/** Returns the value with these faults corrected; undefined when that is not safe. */
function correct(
  { fallbacks = {} }: ResourceDefinition,
  value: unknown,
  faults: readonly Fault[],
  former: AnyResource | undefined,
): { value: unknown; consequence: string } | undefined {
  if (!isRecord(value)) return undefined;
  const isDeep = faults.some(({ path, message }) => message === UNKNOWN && path.length > 2);
  const corrected: Record<string, unknown> = isDeep ? structuredClone(value) : { ...value };
  const spec = isRecord(corrected['spec']) ? { ...corrected['spec'] } : undefined;
  if (spec) corrected['spec'] = spec;
  let consequence = '';
  const done = new Set<string>();
  for (const { path, message, isHarmless } of faults) {
    if (isHarmless) continue;
    const [top, field] = path;
    if (message === UNKNOWN) {
      if (field === undefined) delete corrected[top!];
      else remove(corrected, path);
      consequence ||= 'it is ignored';
      continue;
    }
    if (top !== 'spec' || field === undefined || !spec || !Object.hasOwn(fallbacks, field)) return undefined;
    if (done.has(field)) continue;
    done.add(field);
    const indices = faults.filter((fault) => fault.path[1] === field).map((fault) => Number(fault.path[2]));
    consequence ||= replace(spec, field, fallbacks[field]!, indices, former);
  }
  return { value: corrected, consequence };
}

/** Removes a member. `root` must be a copy down to the member's parent. */
function remove(root: Record<string, unknown>, path: readonly string[]): void {
  let parent: unknown = root;
  for (const name of path.slice(0, -1))
    parent = isRecord(parent) || Array.isArray(parent) ? Reflect.get(parent, name) : undefined;
  if (isRecord(parent)) delete parent[path.at(-1)!];
}

/** Replaces a field by its former value, else by its fallback, and returns a clause that says so. */
function replace(
  spec: Record<string, unknown>,
  field: string,
  fallback: Fallback,
  indices: readonly number[],
  former: AnyResource | undefined,
): string {
  const formerSpec = former?.['spec'];
  if (isRecord(formerSpec)) {
    if (formerSpec[field] === undefined) delete spec[field];
    else spec[field] = formerSpec[field];
    return 'the field keeps its former value';
  }
  const list = spec[field];
  if (fallback === 'drop elements' && Array.isArray(list) && indices.every(Number.isInteger)) {
    spec[field] = list.filter((_, index) => !indices.includes(index));
    return 'the other elements are used';
  }
  if (typeof fallback === 'object') {
    spec[field] = fallback.value;
    return `${JSON.stringify(fallback.value)} is used instead`;
  }
  delete spec[field];
  return 'the default is used instead';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isIdentifier(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_IDENTIFIER;
}
