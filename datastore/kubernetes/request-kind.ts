/** What a request asks of the API server, in the words of RBAC (k8s.io/apiserver, RequestInfo). */

export interface RequestKind {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';
  /** `nodes`, `nodes/status`, `ippools.projectcalico.org`; a path without resource as it is. */
  readonly resource: string;
}

/** Called once for each answer; `code` is the HTTP status, or `error` where none came. */
export type RequestObserver = (request: RequestKind, code: string) => void;

const verbs = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const;

/** Verb and resource of a request, by its method, its path below the server's base, and whether it is a watch. */
export function requestKind(method: 'GET' | keyof typeof verbs, path: string, isWatch: boolean): RequestKind {
  const parts = path.split('/').filter(Boolean);
  const [group, rest] = parts[0] === 'api' ? ['', parts.slice(2)] : [parts[1], parts.slice(3)];
  if (rest.length === 0) return { verb: method === 'GET' ? 'get' : verbs[method], resource: path };
  // A namespace is itself a resource: /namespaces/NAME and /namespaces/NAME/status.
  const isScope =
    rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status' && rest[2] !== 'finalize';
  const [plural, name, subresource] = isScope ? rest.slice(2) : rest;
  const resource = `${plural}${group ? `.${group}` : ''}${subresource ? `/${subresource}` : ''}`;
  if (method !== 'GET') return { verb: verbs[method], resource };
  return { verb: isWatch ? 'watch' : name === undefined ? 'list' : 'get', resource };
}
