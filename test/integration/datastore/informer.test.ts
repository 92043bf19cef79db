import { mkdtempSync, rmSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiServer } from '../../../datastore/embedded/server.ts';
import { Informer } from '../../../datastore/informer.ts';
import { plainAddress } from '../../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { type IPPool, ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { silentLog } from '../../../lib/log.ts';
import { systemTime } from '../../../lib/time.ts';
import { until } from '../../helpers/lab.ts';

/** A TCP proxy that can cut its connections or stop forwarding. */
class FlakyProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  isSilent = false;
  port = 0;

  constructor(target: () => number) {
    this.#server = net.createServer((client) => {
      const upstream = net.connect(target(), '127.0.0.1');
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => this.#sockets.delete(socket));
      }
      client.on('data', (chunk) => upstream.write(chunk));
      upstream.on('data', (chunk) => {
        if (!this.isSilent) client.write(chunk);
      });
      client.on('close', () => upstream.destroy());
      upstream.on('close', () => client.destroy());
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.port = (this.#server.address() as { port: number }).port;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

let directory: string;
let api: ApiServer;
let proxy: FlakyProxy;
let abort: AbortController;
let direct: KubernetesClient;
const startApi = (port = 0) =>
  ApiServer.start({ directory, host: '127.0.0.1', port, bookmarkMs: 100 }, silentLog);
const portOf = (server: ApiServer) => Number(new URL(server.url).port);

beforeEach(async () => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'cali-informer-'));
  api = await startApi();
  proxy = new FlakyProxy(() => portOf(api));
  await proxy.listen();
  abort = new AbortController();
  direct = new KubernetesClient(plainAddress(api.url));
});
afterEach(async () => {
  abort.abort();
  await proxy.close();
  await api.close().catch(() => undefined);
  rmSync(directory, { recursive: true, force: true });
});

function follow(options = {}) {
  const changes: { key: string; version: string | undefined }[] = [];
  let synced = 0;
  const informer = new Informer(
    { definition: ipPoolKind, ...options },
    {
      time: systemTime,
      client: new KubernetesClient(plainAddress(`http://127.0.0.1:${proxy.port}`)),
      log: silentLog,
      events: {
        changed: (key, object) => changes.push({ key, version: object?.metadata.resourceVersion }),
        synced: () => {
          synced++;
        },
      },
    },
  );
  void informer.run(abort.signal);
  return { informer, changes, synced: () => synced };
}

const create = (i: number) =>
  direct.create(ipPoolKind, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name: `p${i}` },
    spec: { cidr: `10.${i}.0.0/16` },
  });
const truth = async () =>
  new Map((await direct.list(ipPoolKind)).map((pool) => [pool.metadata.name, pool.metadata.resourceVersion]));
const copy = (objects: ReadonlyMap<string, IPPool>) =>
  new Map([...objects].map(([key, pool]) => [key, pool.metadata.resourceVersion]));
const isTrue = async (objects: ReadonlyMap<string, IPPool>) =>
  sorted(copy(objects)) === sorted(await truth());
const sorted = (versions: ReadonlyMap<string, unknown>) =>
  JSON.stringify([...versions].sort(([a], [b]) => a.localeCompare(b)));

/** Expects that no change is reported twice: a key's versions only increase, and a deletion follows an object. */
function expectNoRepeats(changes: readonly { key: string; version: string | undefined }[]) {
  const last = new Map<string, string | undefined>();
  for (const { key, version } of changes) {
    if (version === undefined) expect(last.get(key), `deletion of ${key}`).toBeDefined();
    else if (last.get(key) !== undefined) expect(Number(version)).toBeGreaterThan(Number(last.get(key)));
    last.set(key, version);
  }
}

describe('an informer of API objects', () => {
  it('lists in pages, reports once that it is in sync, then watches', async () => {
    for (let i = 0; i < 7; i++) await create(i);
    const { informer, synced, changes } = follow({ pageSize: 3 });
    await until('in sync', 3000, () => synced() === 1);
    expect(informer.objects.size).toBe(7);
    await create(8);
    await direct.remove(ipPoolKind, 'p0');
    await until('followed', 3000, () => isTrue(informer.objects));
    expect(changes).toHaveLength(9);
    expect(informer.staleReason).toBeUndefined();
  });

  it('loses and repeats nothing across broken connections, a restarted server and a compacted history', async () => {
    const { informer, synced, changes } = follow();
    await until('in sync', 3000, () => synced() === 1);
    for (let round = 0; round < 30; round++) {
      const i = round % 10;
      const existing = await direct.get(ipPoolKind, `p${i}`);
      if (!existing) await create(i);
      else if (round % 3 === 0) await direct.remove(ipPoolKind, `p${i}`);
      else
        await direct.update(ipPoolKind, {
          ...existing,
          spec: { ...existing.spec, natOutgoing: !existing.spec.natOutgoing },
        });
      if (round % 4 === 1) proxy.cut();
      if (round % 7 === 3) api.compactHistory();
      if (round === 15) {
        const port = portOf(api);
        await api.close();
        api = await startApi(port);
      }
    }
    await until('the same as the server', 15_000, () => isTrue(informer.objects));
    expectNoRepeats(changes);
    expect(synced()).toBe(1);
  });

  it('reports objects that were deleted while it was disconnected', async () => {
    for (let i = 0; i < 3; i++) await create(i);
    const { informer, synced, changes } = follow();
    await until('in sync', 3000, () => synced() === 1);
    const port = portOf(api);
    await api.close();
    api = await startApi(port);
    await direct.remove(ipPoolKind, 'p1');
    api.compactHistory();
    await until('noticed', 10_000, () => informer.objects.size === 2);
    expect(changes.filter(({ version }) => version === undefined)).toEqual([
      { key: 'p1', version: undefined },
    ]);
  });

  it('keeps its copy while the server is down, and reports why it may be stale', async () => {
    await create(1);
    const { informer, synced } = follow();
    await until('in sync', 3000, () => synced() === 1);
    const port = portOf(api);
    await api.close();
    await until('noticed', 5000, () => informer.staleReason !== undefined);
    expect(informer.staleReason).toMatch(/^ippools: /);
    expect(informer.objects.size).toBe(1);
    api = await startApi(port);
    await until('back', 10_000, () => informer.staleReason === undefined);
  });

  it('detects a half-open connection by its silence', async () => {
    const { informer, synced } = follow({ idleMs: 400 });
    await until('in sync', 3000, () => synced() === 1);
    proxy.isSilent = true;
    await create(5);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(informer.objects.size).toBe(0);
    proxy.isSilent = false;
    await until('recovered', 5000, () => informer.objects.size === 1);
  });

  it('does not reopen watches in a tight loop when a server closes each at once', async () => {
    let watches = 0;
    const rude = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        const isWatch = chunk.toString().includes('watch=1');
        if (isWatch) watches++;
        const body = isWatch ? '' : '{"metadata":{"resourceVersion":"1"},"items":[]}';
        socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
      });
    });
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    const client = new KubernetesClient(
      plainAddress(`http://127.0.0.1:${(rude.address() as { port: number }).port}`),
    );
    const events = { changed: () => undefined, synced: () => undefined };
    void new Informer({ definition: ipPoolKind }, { time: systemTime, client, log: silentLog, events }).run(
      abort.signal,
    );
    await new Promise((resolve) => setTimeout(resolve, 2000));
    abort.abort();
    expect(watches).toBeGreaterThan(1);
    expect(watches).toBeLessThan(12);
    await new Promise((resolve) => rude.close(resolve));
  });
});
