/** Verb and resource of a request, in RBAC's terms (k8s.io/apiserver, RequestInfo). */

export interface RequestKind {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';
  /** `nodes`, `nodes/status`, `ippools.projectcalico.org`; the path when it has no resource. */
  readonly resource: string;
}

/** Called once for each request. `code` is the HTTP status, or `error` without a response. */
export type RequestObserver = (request: RequestKind, code: string) => void;

const verbs = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const;

/** Returns verb and resource of a request. `path` is relative to the server's base URL. */
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
