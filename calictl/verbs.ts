/** `calictl apply|create|replace|delete`: handles objects in order, with calicoctl's messages. */
import type { Document } from '../datastore/documents.ts';
import { DatastoreError } from '../datastore/errors.ts';
import { clusterInformationKind } from '../datastore/schema/cluster.ts';
import { type AnyResource, resourceOf } from '../datastore/schema/resource.ts';
import { CodedError } from '../lib/errors.ts';
import { printable } from '../lib/plain-text.ts';
import { type Access, accessTo, missing, type Store } from './access.ts';
import type { Done } from './done.ts';
import { type NamespaceFlags, namespaceOf } from './place.ts';

export type Verb = 'apply' | 'create' | 'replace' | 'delete';

const past: Readonly<Record<Verb, string>> = {
  apply: 'applied',
  create: 'created',
  replace: 'replaced',
  delete: 'deleted',
};

export interface VerbFlags extends NamespaceFlags {
  readonly skipExists?: boolean | undefined;
  readonly skipNotExists?: boolean | undefined;
}

/** Attempts of a write that conflicts with other writes, as in calicoctl. */
const MAX_ATTEMPTS = 5;

/** Performs the verb on each document in order. After a failure it continues, unless the API is unreachable. */
export async function perform(
  store: Store,
  verb: Verb,
  documents: readonly Document[],
  flags: VerbFlags,
  note: (sentence: string) => void,
): Promise<Done> {
  if (documents.length === 0) return { text: 'No resources specified', failures: [] };
  let count = 0;
  let skipped = 0;
  const failures: string[] = [];
  for (const document of documents) {
    try {
      if (await performOne(store, verb, document, flags, note)) count++;
      else skipped++;
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      failures.push(describeFailure(verb, document, documents.length > 1, error));
      if (error.code === 'UNAVAILABLE') break;
    }
  }
  return { text: summary(verb, documents, count, skipped), failures };
}

function describeFailure(verb: Verb, { object, place }: Document, isPlaced: boolean, error: Error): string {
  const { kind, metadata } = object;
  return `${isPlaced && place ? `${place}: ` : ''}Failed to ${verb} '${kind}' resource ${metadata.name}: ${error.message}`;
}

function summary(verb: Verb, documents: readonly Document[], count: number, skipped: number): string {
  const [kind, ...others] = new Set(documents.map(({ object }) => object.kind));
  const what = others.length === 0 ? `'${kind}' resource` : 'resource';
  const hint =
    skipped > 0 ? `, skipped ${skipped} that ${verb === 'create' ? 'already exist' : 'do not exist'}` : '';
  if (count + skipped === documents.length) return `Successfully ${past[verb]} ${count} ${what}(s)${hint}`;
  if (count + skipped === 0) return '';
  return `Partial success: ${past[verb]} ${count} out of ${documents.length} ${what}s${hint}`;
}

/** Performs the verb on a document. Returns false if there was nothing to do and a flag allows that. */
async function performOne(
  store: Store,
  verb: Verb,
  { definition, object }: Document,
  flags: VerbFlags,
  note: (sentence: string) => void,
): Promise<boolean> {
  const { name } = object.metadata;
  const namespace = namespaceOf(definition, flags, object.metadata.namespace);
  const placed = namespace ? { ...object, metadata: { ...object.metadata, namespace } } : object;
  const access = accessTo(store, definition, note);
  if (verb !== 'replace' && definition.kind === clusterInformationKind.kind)
    throw new DatastoreError('FORBIDDEN', `${verb} is not supported: the agents maintain ClusterInformation`);
  switch (verb) {
    case 'create':
      return create(access, placed, flags.skipExists ?? false);
    case 'delete':
      if (object.metadata.resourceVersion !== undefined)
        assertLatest(object.metadata.resourceVersion, resourceOf(await access.get(name, namespace)));
      if (await access.remove(name, namespace)) return true;
      if (flags.skipNotExists) return false;
      throw missing(definition.kind, name);
    case 'apply':
    case 'replace':
      return overwrite(access, placed, namespace, verb === 'apply');
    default:
      throw new Error(`unreachable verb ${verb satisfies never}`);
  }
}

/** Checks that a version in a file is the stored one. Throws DatastoreError CONFLICT. */
function assertLatest(resourceVersion: string, stored: AnyResource | undefined): void {
  const latest = stored?.metadata.resourceVersion;
  if (latest === undefined || latest === resourceVersion) return;
  throw new DatastoreError(
    'CONFLICT',
    `resource version ${resourceVersion} is out of date (latest: ${latest}): get the resource again and repeat the change`,
  );
}

async function create(access: Access, object: AnyResource, skipExists: boolean): Promise<boolean> {
  try {
    await access.create(object);
    return true;
  } catch (error) {
    if (skipExists && error instanceof DatastoreError && error.code === 'ALREADY_EXISTS') return false;
    throw error;
  }
}

async function overwrite(
  access: Access,
  object: AnyResource,
  namespace: string | undefined,
  mayCreate: boolean,
): Promise<true> {
  const { name, resourceVersion, uid } = object.metadata;
  for (let attempt = 1; ; attempt++) {
    const stored = resourceOf(await access.get(name, namespace));
    if (!stored) {
      if (!mayCreate) throw missing(object.kind, name);
      // If another write creates it meanwhile, replace it.
      if (await create(access, object, attempt < MAX_ATTEMPTS)) return true;
      continue;
    }
    if (resourceVersion !== undefined) assertLatest(resourceVersion, stored);
    if (uid !== undefined && uid !== stored.metadata.uid)
      throw new DatastoreError(
        'CONFLICT',
        `metadata.uid is ${printable(uid, 100)}, the stored object has ${stored.metadata.uid}: get the resource again, or remove metadata.uid`,
      );
    try {
      await access.replace(access.merged(object, stored));
      return true;
    } catch (error) {
      const isOvertaken = error instanceof DatastoreError && error.code === 'CONFLICT';
      if (!isOvertaken || resourceVersion !== undefined || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}
