/** `calictl get`: all objects of a kind, named ones, or those in files. */
import type { Document } from '../datastore/documents.ts';
import { describeProblem } from '../datastore/object-problem.ts';
import { identityOf, readObject } from '../datastore/read-object.ts';
import { bgpConfigurationKind } from '../datastore/schema/bgp-configuration.ts';
import { type AnyResource, type ResourceDefinition, resourceOf } from '../datastore/schema/resource.ts';
import { getTolerant } from '../datastore/tolerant.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import { plainTable } from '../lib/table.ts';
import { accessTo, missing, type Store } from './access.ts';
import { type CtlColumn, cell, columnsNamed, columnsOf } from './columns.ts';
import type { Done } from './done.ts';
import { kindNamed } from './kinds.ts';
import { renderName, renderObjects, withoutServerFields, type withTemplate } from './output.ts';
import { checkFlags, type NamespaceFlags, namespaceOf } from './place.ts';

export interface GetFlags extends NamespaceFlags {
  readonly output: Awaited<ReturnType<typeof withTemplate>>;
  /** Omit fields that are specific to this cluster, if objects were named. */
  readonly isExport?: boolean | undefined;
  /** Width of the terminal, to which tables are fitted. */
  readonly columns?: number | undefined;
}

/** An object as the server returned it, with its kind. */
interface Found {
  readonly definition: ResourceDefinition;
  readonly raw: unknown;
}

/** Gets objects. Throws CodedError NOT_FOUND, INPUT or KIND, or DatastoreError, when it cannot show any of them. */
export async function get(
  store: Store,
  kind: string,
  names: readonly string[],
  flags: GetFlags,
  note: (sentence: string) => void,
): Promise<Done> {
  const definition = kindNamed(kind);
  checkFlags(definition, flags);
  if (names.includes('')) throw new CodedError('INPUT', 'resource name may not be empty');
  if (names.length > 0) {
    if (flags.allNamespaces)
      throw new CodedError(
        'INPUT',
        `${names.join(' ')}: -A applies only to lists: name the namespace with -n`,
      );
    return getNamed(
      store,
      names.map((name) => ({ definition, name, namespace: namespaceOf(definition, flags) })),
      flags,
      note,
    );
  }
  const namespace = definition.namespaced ? flags.namespace : undefined;
  const items = await accessTo(store, definition, note).list(namespace);
  if (flags.output.form === 'table' || flags.output.form === 'name')
    return lines(
      store,
      items.map((raw) => ({ definition, raw })),
      [definition],
      flags,
    );
  const shown = items.map((item) => withoutServerFields(item, false));
  return { text: renderObjects({ definition, items: shown }, flags.output), failures: [] };
}

/** Gets the objects that documents refer to. */
export function getDocuments(
  store: Store,
  documents: readonly Document[],
  flags: GetFlags,
  note: (sentence: string) => void,
): Promise<Done> {
  const wanted = documents.map(({ definition, object: { metadata } }) => ({
    definition,
    name: metadata.name,
    namespace: namespaceOf(definition, flags, metadata.namespace),
  }));
  return getNamed(store, wanted, flags, note);
}

interface Wanted {
  readonly definition: ResourceDefinition;
  readonly name: string;
  readonly namespace: string | undefined;
}

async function getNamed(
  store: Store,
  wanted: readonly Wanted[],
  flags: GetFlags,
  note: (sentence: string) => void,
): Promise<Done> {
  const results = await Promise.allSettled(
    wanted.map(async ({ definition, name, namespace }): Promise<Found> => {
      const raw = await accessTo(store, definition, note).get(name, namespace);
      if (raw === undefined) throw missing(definition.kind, name);
      return { definition, raw };
    }),
  );
  const found = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const errors: unknown[] = results.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  if (found.length === 0 && errors.length > 0)
    return { text: '', failures: [...new Set(errors.map(messageOf))] };
  const failures = errors.map(messageOf);
  const { output } = flags;
  if (output.form === 'table' || output.form === 'name') {
    const kinds = [...new Set(found.map(({ definition }) => definition))];
    const shown = await lines(store, found, kinds, flags);
    return { text: shown.text, failures: [...failures, ...shown.failures] };
  }
  const objects = found.map(({ raw }) => withoutServerFields(raw, flags.isExport ?? false));
  const text = renderObjects(wanted.length === 1 ? { object: objects[0] } : { objects }, output);
  return { text, failures };
}

/** Renders a table per kind, or names. An unreadable object is a failure; the others are shown. */
async function lines(
  store: Store,
  found: readonly Found[],
  kinds: readonly ResourceDefinition[],
  flags: GetFlags,
): Promise<Done> {
  if (flags.output.form === 'name') {
    const names = found.flatMap(({ definition, raw }) => {
      const object = resourceOf(raw);
      return object ? [renderName(definition, object)] : [];
    });
    return { text: names.join('\n'), failures: [] };
  }
  const context = { defaultAsNumber: await defaultAsNumber(store) };
  const failures: string[] = [];
  const tables = kinds.map((definition) => {
    const columns = columnsFor(definition, flags);
    const objects = found.filter((one) => one.definition === definition);
    const rows = objects.flatMap(({ raw }) => {
      const object = readable(definition, raw, failures);
      return object ? [columns.map((column) => cell(object, column, context))] : [];
    });
    return plainTable(
      columns.map(([name]) => name),
      rows,
      flags.columns,
    );
  });
  return { text: tables.join('\n\n'), failures };
}

/** Reads an object without fallbacks, because a table shows the server's values. */
function readable(definition: ResourceDefinition, raw: unknown, failures: string[]): AnyResource | undefined {
  const { object, problem } = readObject({ ...definition, fallbacks: {} }, raw);
  if (problem) {
    const { name = '(no name)', namespace } = identityOf(raw) ?? {};
    failures.push(
      describeProblem({ kind: definition.kind, name, ...(namespace ? { namespace } : {}), ...problem }),
    );
  }
  return resourceOf(object);
}

function columnsFor({ kind, namespaced }: ResourceDefinition, flags: GetFlags): readonly CtlColumn[] {
  const { output } = flags;
  if (output.form !== 'table') return [];
  if (output.columns) return columnsNamed(kind, output.columns);
  const hasNamespace = namespaced && (flags.allNamespaces || Boolean(flags.namespace));
  return [...(hasNamespace ? columnsNamed(kind, ['NAMESPACE']) : []), ...columnsOf(kind, output.isWide)];
}

/** Returns the AS number of nodes without their own; default 64512 (Calico B-026). */
async function defaultAsNumber(store: Store): Promise<number | 'unknown'> {
  const { object, unreadable } = await getTolerant(store, bgpConfigurationKind, 'default');
  return unreadable ? 'unknown' : (object?.spec.asNumber ?? 64512);
}
