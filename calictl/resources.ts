/** `calictl get|apply|create|replace|delete`, with calicoctl's words. */
import { parse, stringify } from 'yaml';
import type { Datastore, RawDatastore } from '../datastore/datastore.ts';
import type { Document } from '../datastore/documents.ts';
import { DatastoreError } from '../datastore/errors.ts';
import { describeProblem } from '../datastore/object-problem.ts';
import { findKind } from '../datastore/registry.ts';
import { bgpConfigurationKind } from '../datastore/schema/bgp.ts';
import { ipPoolKind } from '../datastore/schema/ip-pool.ts';
import type { AnyResource, ResourceDefinition } from '../datastore/schema/resource.ts';
import { apiVersionOf } from '../datastore/schema/resource.ts';
import { getTolerant } from '../datastore/tolerant.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import { plainTable } from '../lib/table.ts';
import { cell, columnsOf } from './columns.ts';
import { deletePool } from './pool-deletion.ts';

export type Output = 'ps' | 'wide' | 'yaml' | 'json';

/** Kind by any of its names. Throws CodedError KIND. */
export function kindNamed(name: string): ResourceDefinition {
  const definition = findKind(name);
  if (definition) return definition;
  throw new CodedError(
    'KIND',
    `resource type '${name}' is not supported: try node, ippool, bgppeer, bgpconfiguration, felixconfiguration, ipamblock, …`,
  );
}

/** What `get` shows, and a sentence for each object that it cannot show as it is. */
export interface Got {
  readonly text: string;
  readonly failures: readonly string[];
}

/** Throws CodedError NOT_FOUND, or DatastoreError, when nothing of what was named can be shown. */
export async function get(
  store: Datastore & RawDatastore,
  kind: string,
  names: readonly string[],
  options: { output: Output; namespace: string | undefined },
): Promise<Got> {
  const definition = kindNamed(kind);
  if (options.output === 'yaml' || options.output === 'json')
    return getRaw(store, definition, names, { ...options, output: options.output });
  const { objects, failures } =
    names.length === 0
      ? await getAll(store, definition, options.namespace)
      : await getNamed(store, definition, names, options.namespace);
  const { object: configuration, unreadable } = await getTolerant(store, bgpConfigurationKind, 'default');
  const defaultAsNumber = unreadable ? 'unreadable' : (configuration?.spec.asNumber ?? 64512);
  const columns = columnsOf(definition.kind, options.output === 'wide');
  const text = plainTable(
    columns.map(([name]) => name),
    objects.map((object) => columns.map((column) => cell(object, column, { defaultAsNumber }))),
  );
  return { text, failures };
}

/**
 * YAML and JSON are edited and applied, so they show what the server has: also fields and values that this version
 * cannot read. Without them, a replace would delete them on the server.
 */
async function getRaw(
  store: RawDatastore,
  definition: ResourceDefinition,
  names: readonly string[],
  { output, namespace }: { output: 'yaml' | 'json'; namespace: string | undefined },
): Promise<Got> {
  const place = definition.namespaced ? (namespace ?? 'default') : undefined;
  const results = await Promise.allSettled(
    names.length === 0
      ? [store.rawList(definition, namespace ? { namespace } : {})]
      : names.map(async (name) => [found(definition, name, await store.raw(definition, name, place))]),
  );
  const items = results.flatMap((one) => (one.status === 'fulfilled' ? one.value : [])).map(withoutManagers);
  const errors = results.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  if (items.length === 0 && errors.length > 0) throw errors[0];
  const list = { apiVersion: apiVersionOf(definition), kind: `${definition.kind}List`, items };
  const value = names.length === 1 ? items[0] : list;
  const text = output === 'json' ? JSON.stringify(value, undefined, 2) : stringify(value).trimEnd();
  return { text, failures: errors.map(messageOf) };
}

/** Who wrote which field is the server's own record; kubectl leaves it out as well. */
function withoutManagers(object: unknown): unknown {
  if (typeof object !== 'object' || object === null || !('metadata' in object)) return object;
  const { metadata } = object;
  if (typeof metadata !== 'object' || metadata === null) return object;
  return {
    ...object,
    metadata: Object.fromEntries(Object.entries(metadata).filter(([key]) => key !== 'managedFields')),
  };
}

interface GotObjects {
  readonly objects: readonly AnyResource[];
  readonly failures: readonly string[];
}

/** Without fallbacks: a table shows what the server has. */
async function getAll(
  store: Datastore,
  definition: ResourceDefinition,
  namespace: string | undefined,
): Promise<GotObjects> {
  const strict = { ...definition, fallbacks: {} };
  const { items, problems } = await store.listing(strict, namespace ? { namespace } : {});
  return { objects: items as unknown as AnyResource[], failures: problems.map(describeProblem) };
}

async function getNamed(
  store: Datastore,
  definition: ResourceDefinition,
  names: readonly string[],
  namespace: string | undefined,
): Promise<GotObjects> {
  const results = await Promise.allSettled(names.map((name) => getOne(store, definition, name, namespace)));
  const objects = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const errors = results.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  if (objects.length === 0 && errors.length > 0) throw errors[0];
  return { objects: objects as unknown as AnyResource[], failures: errors.map(messageOf) };
}

async function getOne(
  store: Datastore,
  definition: ResourceDefinition,
  name: string,
  namespace: string | undefined,
) {
  const place = definition.namespaced ? (namespace ?? 'default') : undefined;
  return found(definition, name, await store.get(definition, name, place));
}

/** Throws CodedError NOT_FOUND. */
function found<T>({ kind }: ResourceDefinition, name: string, object: T | undefined): T {
  if (object === undefined) throw new CodedError('NOT_FOUND', `resource does not exist: ${kind}(${name})`);
  return object;
}

export type Verb = 'apply' | 'create' | 'replace' | 'delete';

const past: Readonly<Record<Verb, string>> = {
  apply: 'applied',
  create: 'created',
  replace: 'replaced',
  delete: 'deleted',
};

/** Performs the verb on each document in order and says what happened; what failed does not undo the others. */
export async function perform(
  store: Datastore,
  verb: Verb,
  documents: readonly Document[],
  options: { skipExists?: boolean; skipNotExists?: boolean } = {},
): Promise<string> {
  let count = 0;
  const notes: string[] = [];
  for (const document of documents) {
    try {
      if (await performOne(store, verb, document, options, notes)) count++;
    } catch (error) {
      if (!(error instanceof DatastoreError)) throw error;
      const done =
        count > 0
          ? `Partial success: ${past[verb]} the first ${count} out of ${documents.length} resources. `
          : '';
      const { kind, metadata } = document.object;
      throw new CodedError(
        'FAILED',
        `${done}Failed to ${verb} '${kind}' resource ${metadata.name}: ${error.message}`,
        { cause: error },
      );
    }
  }
  const kinds = new Set(documents.map(({ object }) => object.kind));
  const what = kinds.size === 1 ? `'${[...kinds][0]}' resource(s)` : 'resource(s)';
  return [`Successfully ${past[verb]} ${count} ${what}`, ...notes].join('\n');
}

async function performOne(
  store: Datastore,
  verb: Verb,
  { definition, object }: Document,
  options: { skipExists?: boolean; skipNotExists?: boolean },
  notes: string[],
): Promise<boolean> {
  const { name } = object.metadata;
  const namespace = definition.namespaced ? (object.metadata.namespace ?? 'default') : undefined;
  const placed = namespace ? { ...object, metadata: { ...object.metadata, namespace } } : object;
  switch (verb) {
    case 'create':
      return create(store, definition, placed, options.skipExists ?? false);
    case 'delete': {
      const isRemoved =
        definition.kind === ipPoolKind.kind
          ? await removePool(store, name, notes)
          : await store.remove(definition, name, namespace ? { namespace } : {});
      if (isRemoved || options.skipNotExists) return isRemoved;
      throw new DatastoreError('NOT_FOUND', `resource does not exist: ${definition.kind}(${name})`);
    }
    case 'apply':
    case 'replace': {
      const old = (await store.get(definition, name, namespace)) as unknown as AnyResource | undefined;
      if (!old) {
        if (verb === 'apply') return create(store, definition, placed, false);
        throw new DatastoreError('NOT_FOUND', `resource does not exist: ${definition.kind}(${name})`);
      }
      // Without a resourceVersion in the file the stored object is replaced as it is now.
      const resourceVersion = placed.metadata.resourceVersion ?? old.metadata.resourceVersion;
      await store.update(definition, {
        ...placed,
        // Finalizers are not for a file to take away: an IPPool in use would be gone.
        metadata: { ...finalizersOf(old), ...placed.metadata, resourceVersion },
      } as never);
      return true;
    }
    default:
      throw new Error(`unreachable verb ${verb satisfies never}`);
  }
}

async function removePool(store: Datastore, name: string, notes: string[]): Promise<boolean> {
  const { isRemoved, note } = await deletePool(store, name);
  if (note) notes.push(note);
  return isRemoved;
}

function finalizersOf({
  metadata: { finalizers },
}: AnyResource): Pick<AnyResource['metadata'], 'finalizers'> {
  return finalizers ? { finalizers } : {};
}

/** JSON merge patch (RFC 7396) of one object, checked as a whole by the API server. */
export async function patch(
  store: Datastore,
  kind: string,
  name: string,
  text: string,
  namespace: string | undefined,
): Promise<string> {
  const definition = kindNamed(kind);
  const place = definition.namespaced ? { namespace: namespace ?? 'default' } : {};
  try {
    await store.patch(definition, name, parsePatch(text), place);
  } catch (error) {
    if (!(error instanceof DatastoreError)) throw error;
    throw new CodedError(
      'FAILED',
      `Failed to patch '${definition.kind}' resource ${name}: ${error.message}`,
      {
        cause: error,
      },
    );
  }
  return `Successfully patched 1 '${definition.kind}' resource`;
}

/** Sets a label, `key=value`, or takes `key` away. One that has another value stays, unless it is to be overwritten. */
export async function label(
  store: Datastore,
  kind: string,
  name: string,
  text: string,
  options: { overwrite: boolean; remove: boolean; namespace?: string },
): Promise<string> {
  const definition = kindNamed(kind);
  const { metadata } = (await getOne(store, definition, name, options.namespace)) as unknown as AnyResource;
  const [key = '', value] = text.split(/=(.*)/s);
  if (!key || (value === undefined) !== options.remove)
    throw new CodedError('INPUT', `label ${text}: write key=value, or key with --remove`);
  const labels = metadata.labels ?? {};
  const present = Object.hasOwn(labels, key) ? labels[key] : undefined;
  if (present === value) {
    return options.remove
      ? `${definition.kind} ${name} has no label ${key}`
      : `${definition.kind} ${name} has the label ${text}`;
  }
  if (!options.remove && present !== undefined && !options.overwrite)
    throw new CodedError(
      'INPUT',
      `label ${key} of ${definition.kind} ${name} is ${present}: add --overwrite to change it`,
    );
  const { namespace } = options;
  await store.patch(
    definition,
    name,
    { metadata: { labels: { [key]: value ?? null } } },
    definition.namespaced ? { namespace: namespace ?? 'default' } : {},
  );
  return `Successfully ${options.remove ? `removed label ${key} from` : `set label ${key} on`} ${definition.kind} ${name}`;
}

function parsePatch(text: string): object {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new CodedError('PATCH', `-p ${text}: ${messageOf(error)}`, { cause: error });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new CodedError(
    'PATCH',
    `-p ${text}: must be an object as JSON or YAML, such as '{"spec":{"disabled":true}}'`,
  );
}

async function create(
  store: Datastore,
  definition: ResourceDefinition,
  object: AnyResource,
  skipExists: boolean,
): Promise<boolean> {
  const { resourceVersion: _, uid: __, ...metadata } = object.metadata;
  try {
    await store.create(definition, { ...object, metadata });
    return true;
  } catch (error) {
    if (skipExists && error instanceof DatastoreError && error.code === 'ALREADY_EXISTS') return false;
    throw error;
  }
}
