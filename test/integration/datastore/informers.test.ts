import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiServer } from '../../../datastore/embedded/server.ts';
import { Informers } from '../../../datastore/informers.ts';
import { plainAddress } from '../../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { nodeKind, podKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { Shared } from '../../../datastore/shared.ts';
import { silentLog } from '../../../lib/log.ts';
import { systemTime } from '../../../lib/time.ts';
import { until } from '../../helpers/lab.ts';

let directory: string;
let api: ApiServer;
let client: KubernetesClient;
let abort: AbortController;
let changes: number;
let informers: Informers;

beforeEach(async () => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'cali-informers-'));
  api = await ApiServer.start({ directory, host: '127.0.0.1', port: 0 }, silentLog);
  client = new KubernetesClient(plainAddress(api.url));
  abort = new AbortController();
  changes = 0;
  informers = new Informers({ time: systemTime, client, log: silentLog, changed: () => changes++ });
});
afterEach(async () => {
  abort.abort();
  await api.close();
  rmSync(directory, { recursive: true, force: true });
});

const createPool = (name: string, cidr: string) =>
  client.create(ipPoolKind, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name },
    spec: { cidr },
  });
const createNode = (name: string) =>
  client.create(nodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name } });
const inSync = () => until('in sync', 5000, () => informers.isSynced);

describe('the informers of a component', () => {
  it('are in sync when every kind has been listed, and wait for the list of a shared kind', async () => {
    await createPool('p', '10.0.0.0/16');
    const nodes = new Shared(nodeKind, { time: systemTime, client, log: silentLog });
    const pools = informers.add(ipPoolKind);
    informers.share(nodes);
    expect(informers.sync).toBe('waiting');
    void informers.run(abort.signal);
    await until('one of two kinds', 5000, () => informers.sync === 'resyncing');
    expect(informers.isSynced).toBe(false);
    expect(pools.list().map(({ metadata }) => metadata.name)).toEqual(['p']);
    void nodes.informer.run(abort.signal);
    await inSync();
    expect(informers.sync).toBe('in sync');
  });

  it('leave the watch of a shared kind to its owner', () => {
    informers.add(ipPoolKind);
    informers.share(new Shared(nodeKind, { time: systemTime, client, log: silentLog }));
    expect([...informers.watches()]).toEqual([['ippools', false]]);
    expect(informers.staleReasons).toEqual(['ippools: not listed yet']);
  });

  it('call the handler of a kind for its objects, and the common one for the first list', async () => {
    let ofNodes = 0;
    informers.add(nodeKind, {}, () => ofNodes++);
    await createNode('node1');
    void informers.run(abort.signal);
    await inSync();
    expect({ ofNodes, changes }).toEqual({ ofNodes: 1, changes: 1 });
    await createNode('node2');
    await until('reported', 5000, () => ofNodes === 2);
    expect(changes).toBe(1);
  });

  it('resolve the listing of a kind after its first list, to the objects of that moment', async () => {
    informers.add(ipPoolKind);
    const listed = informers.listed(ipPoolKind);
    await createPool('p', '10.0.0.0/16');
    void informers.run(abort.signal);
    const listing = await listed;
    expect(listing?.items.map(({ metadata }) => metadata.name)).toEqual(['p']);
    expect(listing?.problems).toEqual([]);
  });

  it('have no listing of a kind that is followed in part or not at all', () => {
    informers.add(podKind, { fieldSelector: 'spec.nodeName=node1' });
    expect(informers.listed(podKind)).toBeUndefined();
    expect(informers.listed(nodeKind)).toBeUndefined();
  });
});
