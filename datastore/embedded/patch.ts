/** The three patch types of the API: JSON merge (RFC 7396), JSON patch (RFC 6902), strategic merge. */

import { printable } from '../../lib/plain-text.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export const patchTypes: Readonly<Record<string, (target: Json, patch: Json) => Json>> = {
  'application/merge-patch+json': (target, patch) => mergePatch(target, patch),
  'application/json-patch+json': (target, patch) => jsonPatch(target, patch),
  'application/strategic-merge-patch+json': (target, patch) => strategicMerge(target, patch, ''),
};

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Applies a merge patch (RFC 7396 section 2). */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: { [key: string]: Json } = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else define(result, key, mergePatch(own(result, key), value));
  }
  return result;
}

/** Merge keys of core lists, from the Kubernetes API types. */
const mergeKeys: Readonly<Record<string, string>> = {
  conditions: 'type',
  addresses: 'type',
  taints: 'key',
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  env: 'name',
  podIPs: 'ip',
};

/** Applies a strategic merge patch: lists in `mergeKeys` merge by key, with `$patch: delete` and `replace`. */
function strategicMerge(target: Json | undefined, patch: Json, field: string): Json {
  if (Array.isArray(patch))
    return mergeList(
      Array.isArray(target) ? target : [],
      patch,
      Object.hasOwn(mergeKeys, field) ? mergeKeys[field] : undefined,
    );
  if (!isObject(patch)) return patch;
  const { $patch: directive, ...fields } = patch;
  if (directive === 'replace') return fields;
  const result: { [key: string]: Json } = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(fields)) {
    if (key.startsWith('$')) continue; // $setElementOrder, $retainKeys: the stored order stays
    if (value === null) delete result[key];
    else define(result, key, strategicMerge(own(result, key), value, key));
  }
  return result;
}

function mergeList(target: Json[], patch: Json[], mergeKey: string | undefined): Json[] {
  if (!mergeKey || !patch.every(isObject)) return patch;
  const result = [...target];
  for (const item of patch) {
    const at = result.findIndex((existing) => isObject(existing) && existing[mergeKey] === item[mergeKey]);
    if (item['$patch'] === 'delete') {
      if (at >= 0) result.splice(at, 1);
    } else if (at >= 0) result[at] = strategicMerge(result[at], item, '');
    else result.push(item);
  }
  return result;
}

/** Applies a JSON patch (RFC 6902). Throws SyntaxError when it is malformed, RangeError when it does not apply. */
export function jsonPatch(target: Json, patch: Json): Json {
  if (!Array.isArray(patch)) throw new SyntaxError('a JSON patch is a list of operations');
  let document = structuredClone(target);
  for (const operation of patch) {
    if (!isObject(operation) || typeof operation['path'] !== 'string') {
      throw new SyntaxError('each operation of a JSON patch has "op" and "path"');
    }
    document = applyOperation(document, operation as { [key: string]: Json } & { path: string });
  }
  return document;
}

function applyOperation(document: Json, operation: { [key: string]: Json } & { path: string }): Json {
  const { path } = operation;
  switch (operation['op']) {
    case 'add':
      return edit(document, path, (parent, key) => insert(parent, key, operation['value'] ?? null));
    case 'replace':
      read(document, path);
      return edit(document, path, (parent, key) => put(parent, key, operation['value'] ?? null));
    case 'remove':
      read(document, path);
      return edit(document, path, remove);
    case 'test':
      if (JSON.stringify(read(document, path)) !== JSON.stringify(operation['value'])) {
        throw new RangeError(`the value at ${path} differs from the one that the patch expects`);
      }
      return document;
    case 'move':
    case 'copy': {
      const from = String(operation['from']);
      const value = structuredClone(read(document, from));
      const base = operation['op'] === 'move' ? edit(document, from, remove) : document;
      return edit(base, path, (parent, key) => insert(parent, key, value));
    }
    default:
      throw new SyntaxError(`unknown JSON patch operation ${JSON.stringify(operation['op'])}`);
  }
}

/** Returns an object's own field, also one named `__proto__` or `constructor`. */
function own(object: { [key: string]: Json }, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function define(object: { [key: string]: Json }, key: string, value: Json): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Parses an index of the list, or the position after its end: digits without leading zeros (RFC 6901 section 4). */
function indexOf(list: readonly Json[], key: string): number {
  const index = /^(?:0|[1-9]\d{0,8})$/.test(key) ? Number(key) : Number.NaN;
  if (!(index <= list.length))
    throw new RangeError(`"${printable(key, 50)}" is not an index of a list of length ${list.length}`);
  return index;
}

function segments(path: string): string[] {
  if (path === '') return [];
  if (!path.startsWith('/'))
    throw new SyntaxError(`the path "${printable(path, 100)}" does not start with /`);
  return path
    .slice(1)
    .split('/')
    .map((part) => part.replace(/~1/g, '/').replace(/~0/g, '~'));
}

function read(document: Json, path: string): Json {
  let at: Json | undefined = document;
  for (const key of segments(path)) {
    at = Array.isArray(at) ? at[indexOf(at, key)] : isObject(at) ? own(at, key) : undefined;
    if (at === undefined) throw new RangeError(`there is no value at ${printable(path, 100)}`);
  }
  return at;
}

function edit(document: Json, path: string, change: (parent: Json, key: string) => void): Json {
  const keys = segments(path);
  const last = keys.pop();
  if (last === undefined) throw new SyntaxError('a JSON patch cannot replace the whole object');
  change(
    read(
      document,
      keys.length === 0
        ? ''
        : `/${keys.map((key) => key.replace(/~/g, '~0').replace(/\//g, '~1')).join('/')}`,
    ),
    last,
  );
  return document;
}

function insert(parent: Json, key: string, value: Json): void {
  if (Array.isArray(parent)) parent.splice(key === '-' ? parent.length : indexOf(parent, key), 0, value);
  else put(parent, key, value);
}

function put(parent: Json, key: string, value: Json): void {
  if (Array.isArray(parent)) parent[indexOf(parent, key)] = value;
  else if (isObject(parent)) define(parent, key, value);
  else throw new RangeError(`the parent of ${key} is neither an object nor a list`);
}

function remove(parent: Json, key: string): void {
  if (Array.isArray(parent)) parent.splice(indexOf(parent, key), 1);
  else if (isObject(parent)) delete parent[key];
}
