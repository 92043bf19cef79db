/** Parses request paths to kind, namespace, name and subresource. */
import { registry } from '../registry.ts';
import type { ResourceDefinition } from '../schema/resource.ts';

export interface Route {
  readonly definition: ResourceDefinition;
  /** '' for cluster-scoped kinds and for lists across namespaces. */
  readonly namespace: string;
  /** Undefined for a collection. */
  readonly name: string | undefined;
  readonly isStatus: boolean;
}

/** Parses a path such as `/api/v1/namespaces/default/pods/p1/status`; undefined when the API does not serve it. */
export function parseRoute(path: string): Route | undefined {
  const parts = partsOf(path);
  const group = parts[0] === 'apis' ? parts[1] : parts[0] === 'api' ? '' : undefined;
  if (group === undefined) return undefined;
  const version = parts[group === '' ? 1 : 2];
  let rest = parts.slice(group === '' ? 2 : 3);
  let namespace = '';
  if (rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status') {
    namespace = rest[1] ?? '';
    rest = rest.slice(2);
  }
  const [plural, name, subresource, ...extra] = rest;
  const definition = registry.find(
    (candidate) => candidate.group === group && candidate.version === version && candidate.plural === plural,
  );
  if (!definition || extra.length > 0) return undefined;
  if (namespace !== '' && !definition.namespaced) return undefined;
  if (name !== undefined && definition.namespaced && namespace === '') return undefined;
  if (subresource !== undefined && !(subresource === 'status' && definition.hasStatus)) return undefined;
  return { definition, namespace, name, isStatus: subresource === 'status' };
}

/** Returns the parts of a path, unescaped; none of a path with a malformed escape. */
function partsOf(path: string): string[] {
  try {
    return path
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
  } catch {
    return [];
  }
}
