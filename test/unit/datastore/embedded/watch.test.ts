import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Change, Store } from '../../../../datastore/embedded/store.ts';
import { serveWatch, type WatchRequest } from '../../../../datastore/embedded/watch.ts';
import { nodeKind } from '../../../../datastore/schema/core.ts';
import type { AnyResource } from '../../../../datastore/schema/resource.ts';

const node = (name: string, resourceVersion: string, label = 'a'): AnyResource => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, resourceVersion, labels: { rack: label } },
});

let events: { type: string; object: AnyResource }[];
let isEnded: boolean;
let isDestroyed: boolean;
let unread: number;
let close: () => void;
let change: ((change: Change) => void) | undefined;
beforeEach(() => {
  vi.useFakeTimers();
  [events, isEnded, isDestroyed, unread, change] = [[], false, false, 0, undefined];
});
afterEach(() => vi.useRealTimers());

function watch(request: Partial<WatchRequest> = {}, oldest = 0): void {
  const store: Pick<Store, 'revision' | 'list' | 'watch'> = {
    revision: 7,
    list: () => [node('n1', '3'), node('n2', '5', 'b')],
    watch: (from, listener) => {
      if (from < oldest || from > 7) return undefined;
      change = listener;
      return () => {
        change = undefined;
      };
    },
  };
  const response = {
    writeHead() {},
    flushHeaders() {},
    write: (line: string) => events.push(JSON.parse(line)),
    end: () => {
      isEnded = true;
    },
    destroy: () => {
      isDestroyed = true;
    },
    get writableLength() {
      return unread;
    },
    on: (_: string, callback: () => void) => {
      close = callback;
    },
  };
  serveWatch(
    store as Store,
    {
      definition: nodeKind,
      prefix: '/nodes/',
      matches: ({ metadata }) => metadata.labels?.['rack'] === 'a',
      resourceVersion: undefined,
      allowBookmarks: true,
      timeoutMs: 60_000,
      bookmarkMs: 10_000,
      present: (object) => object,
      ...request,
    },
    response as unknown as ServerResponse,
  );
}
const seen = () => events.map(({ type, object }) => [type, object.metadata.resourceVersion]);
const happen = (object: AnyResource | null, previous?: AnyResource, key = '/nodes/n1') =>
  change?.({ key, object, previous } as Change);

describe('a watch', () => {
  it('without a version starts with the objects that match', () => {
    watch();
    expect(seen()).toEqual([['ADDED', '3']]);
  });

  it('with a version starts with the next change', () => {
    watch({ resourceVersion: 7 });
    expect(seen()).toEqual([]);
  });

  it('sees an object that starts to match as added, and one that stops as deleted', () => {
    watch({ resourceVersion: 7 });
    happen(node('n1', '8', 'a'), node('n1', '7', 'b'));
    happen(node('n1', '9', 'a'), node('n1', '8', 'a'));
    happen(node('n1', '10', 'b'), node('n1', '9', 'a'));
    happen(node('n1', '11', 'c'), node('n1', '10', 'b'));
    expect(seen()).toEqual([
      ['ADDED', '8'],
      ['MODIFIED', '9'],
      ['DELETED', '10'],
    ]);
    // The last state that matched, with the version of the change.
    expect(events.at(-1)?.object.metadata.labels).toEqual({ rack: 'a' });
  });

  it('sees removed objects if they matched, and no object of another kind', () => {
    watch({ resourceVersion: 7 });
    happen(null, node('n1', '8', 'a'));
    happen(null, node('n2', '9', 'b'));
    happen(node('x', '10', 'a'), undefined, '/pods/x');
    expect(seen()).toEqual([['DELETED', '8']]);
  });

  it.each([
    [3, 410, 'too old resource version: 3 (7)'],
    [9, 504, 'Too large resource version: 9, current: 7'],
  ])('from version %i, which the server does not have, ends with the error %i', (from, code, message) => {
    watch({ resourceVersion: from }, 5);
    expect(events).toMatchObject([{ type: 'ERROR', object: { code, message } }]);
    expect([isEnded, vi.getTimerCount()]).toEqual([true, 0]);
  });

  it('sends bookmarks with the version of the store only to those who want them', () => {
    watch({ resourceVersion: 7 });
    vi.advanceTimersByTime(20_000);
    expect(seen()).toEqual([
      ['BOOKMARK', '7'],
      ['BOOKMARK', '7'],
    ]);
    close();
    events = [];
    watch({ resourceVersion: 7, allowBookmarks: false });
    vi.advanceTimersByTime(20_000);
    expect(events).toEqual([]);
  });

  it('ends after its time, and leaves nothing behind when the client goes', () => {
    watch({ resourceVersion: 7 });
    vi.advanceTimersByTime(60_000);
    expect(isEnded).toBe(true);
    close();
    expect([change, vi.getTimerCount()]).toEqual([undefined, 0]);
  });

  it('of a client that does not read is closed', () => {
    watch({ resourceVersion: 7 });
    unread = (16 << 20) + 1;
    happen(node('n1', '8'), undefined);
    expect(isDestroyed).toBe(true);
  });
});
