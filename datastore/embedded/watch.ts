/** Watches: changes of one kind as a stream of JSON lines, with selectors and bookmarks. */
import type { ServerResponse } from 'node:http';
import { type AnyResource, apiVersionOf, type ResourceDefinition } from '../schema/resource.ts';
import type { Predicate } from './selectors.ts';
import { ApiError, expired, statusOf } from './status.ts';
import type { Change, Store } from './store.ts';

export interface WatchRequest {
  readonly definition: ResourceDefinition;
  readonly prefix: string;
  readonly matches: Predicate;
  /** Undefined: start with the current objects as ADDED events. */
  readonly resourceVersion: number | undefined;
  readonly allowBookmarks: boolean;
  readonly timeoutMs: number;
  readonly bookmarkMs: number;
  /** Returns the form in which to send an object: whole, or as a table row. */
  readonly present: (object: AnyResource) => object;
}

/** Unread bytes at which the server ends a client's watch. The client then resumes or lists again. */
const MAX_UNREAD_BYTES = 16 << 20;

/** Serves the watch until it times out, or the client disconnects or reads too slowly. */
export function serveWatch(store: Store, request: WatchRequest, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache' });
  response.flushHeaders();
  const send = (type: string, object: object) => {
    response.write(`${JSON.stringify({ type, object })}\n`);
    if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
  };
  const start = request.resourceVersion ?? store.revision;
  if (request.resourceVersion === undefined) {
    for (const object of store.list(request.prefix)) {
      if (request.matches(object)) send('ADDED', request.present(object));
    }
  }
  const stop = store.watch(start, (change) => {
    const event = eventFor(request, change);
    if (event) send(event.type, request.present(event.object));
  });
  if (!stop) {
    send('ERROR', statusOf(tooOld(start, store.revision)));
    response.end();
    return;
  }
  const bookmark = () =>
    send('BOOKMARK', {
      apiVersion: apiVersionOf(request.definition),
      kind: request.definition.kind,
      metadata: { resourceVersion: String(store.revision) },
    });
  const bookmarks = request.allowBookmarks ? setInterval(bookmark, request.bookmarkMs) : undefined;
  const timeout = setTimeout(() => response.end(), request.timeoutMs);
  response.on('close', () => {
    stop();
    clearInterval(bookmarks);
    clearTimeout(timeout);
  });
}

function tooOld(wanted: number, current: number): ApiError {
  return wanted > current
    ? new ApiError(504, 'Timeout', `Too large resource version: ${wanted}, current: ${current}`)
    : expired(`too old resource version: ${wanted} (${current})`);
}

/** Returns the event for a change. For a watch, an object that starts or stops matching is added or deleted. */
function eventFor({ prefix, matches }: WatchRequest, { key, object, previous }: Change) {
  if (!key.startsWith(prefix)) return undefined;
  const wasIn = previous !== undefined && matches(previous);
  if (object !== null && matches(object)) return { type: wasIn ? 'MODIFIED' : 'ADDED', object };
  if (!wasIn) return undefined;
  // The last state, with the revision of the change that removed it.
  return {
    type: 'DELETED',
    object: object
      ? { ...previous, metadata: { ...previous.metadata, resourceVersion: object.metadata.resourceVersion } }
      : previous,
  };
}
