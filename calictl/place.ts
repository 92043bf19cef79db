/** Determines the namespace of a command, by calicoctl's rules. */
import type { ResourceDefinition } from '../datastore/schema/resource.ts';
import { CodedError } from '../lib/errors.ts';

export interface NamespaceFlags {
  readonly namespace?: string | undefined;
  readonly allNamespaces?: boolean | undefined;
}

/**
 * Returns the namespace of an object; undefined for cluster-scoped kinds. `own` is the namespace in the object's
 * metadata. Throws CodedError INPUT when the flags contradict the kind or the object.
 */
export function namespaceOf(
  definition: ResourceDefinition,
  flags: NamespaceFlags,
  own?: string,
): string | undefined {
  checkFlags(definition, flags);
  const { kind, namespaced } = definition;
  if (!namespaced) {
    if (own === undefined || own === '') return undefined;
    throw new CodedError('INPUT', `${kind} is not namespaced: omit metadata.namespace (${own})`);
  }
  if (own && flags.namespace && own !== flags.namespace)
    throw new CodedError(
      'INPUT',
      `metadata.namespace is ${own}, but -n is ${flags.namespace}: omit one of them`,
    );
  return own || flags.namespace || 'default';
}

/** Checks the flags against the kind. Throws CodedError INPUT. */
export function checkFlags(
  { kind, namespaced }: ResourceDefinition,
  { namespace, allNamespaces = false }: NamespaceFlags,
): void {
  if (namespace && allNamespaces)
    throw new CodedError('INPUT', '-n and -A contradict each other: omit one of them');
  if (!namespaced && (namespace || allNamespaces))
    throw new CodedError('INPUT', `${kind} is not namespaced: omit ${namespace ? '-n' : '-A'}`);
}
