import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { perform, type Verb } from '../../../calictl/verbs.ts';
import { AddressCollector } from '../../../controllers/address-collector.ts';
import { ControllersConfiguration } from '../../../controllers/configuration.ts';
import { ApiServer } from '../../../datastore/embedded/server.ts';
import { plainAddress } from '../../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { EventRecorder } from '../../../datastore/kubernetes/events.ts';
import { nodeKind } from '../../../datastore/schema/core.ts';
import { type IPPool, ipPoolKind, POOL_FINALIZER } from '../../../datastore/schema/ip-pool.ts';
import { ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { kubeControllersConfigurationKind } from '../../../datastore/schema/kube-controllers.ts';
import { Ipam } from '../../../ipam/ipam.ts';
import { silentLog } from '../../../lib/log.ts';
import { systemTime } from '../../../lib/time.ts';
import { until } from '../../helpers/lab.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

const PATIENCE_MS = 150_000;

/** Runs a calictl verb on a pool and returns the result with its notes. */
async function performed(verb: Verb, object: IPPool) {
  const notes: string[] = [];
  const documents = [{ definition: ipPoolKind, object, place: '' }];
  const done = await perform(client, verb, documents, {}, (note) => notes.push(note));
  return { ...done, notes };
}

let directory: string;
let api: ApiServer;
let client: KubernetesClient;
let clock: ManualClock;
let abort: AbortController;
let collector: AddressCollector;
let configuration: ControllersConfiguration;
let looks = 0;
beforeEach(async () => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'cali-pools-'));
  api = await ApiServer.start({ directory, host: '127.0.0.1', port: 0 }, silentLog);
  client = new KubernetesClient(plainAddress(api.url));
  clock = new ManualClock();
  abort = new AbortController();
  looks = 0;
  configuration = new ControllersConfiguration({
    client,
    clock: systemTime,
    log: silentLog,
    changed: () => {
      looks++;
      collector.look();
    },
  });
  const modules = { store: client, clock, log: silentLog };
  collector = new AddressCollector({
    ...modules,
    events: new EventRecorder('test', modules),
    configuration: configuration.read,
  });
  await client.create(nodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, spec: {} });
});
afterEach(async () => {
  abort.abort();
  collector.close();
  await api.close();
  rmSync(directory, { recursive: true, force: true });
});

const pool = (name: string, cidr: string) =>
  client.create(ipPoolKind, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name },
    spec: { cidr, blockSize: 30 },
  });

/** Returns the IPAM of a node with a current view of the datastore. */
async function ipamOf(node: string): Promise<Ipam> {
  const [pools, blocks] = await Promise.all([client.list(ipPoolKind), client.list(ipamBlockKind)]);
  const view = {
    pools: () => pools,
    blocks: () => blocks,
    configuration: () => undefined,
    reservations: () => [],
    nodeLabels: () => ({}),
  };
  return new Ipam({ node }, { store: client, view, clock: systemTime });
}
const request = (handleId: string, more: object = {}) => ({
  handleId,
  families: [4 as const],
  attributes: { node: 'n1', namespace: 'default', pod: handleId },
  namespaceLabels: {},
  ...more,
});
const look = async () => {
  const before = collector.stats;
  collector.look();
  await until('looked', PATIENCE_MS, () => collector.stats !== before);
  expect(collector.stats.error).toBeUndefined();
};

describe('a deleted IPPool with addresses in use', () => {
  it('keeps its finalizer, assigns no new addresses, and disappears when the last address is released', async () => {
    await pool('p', '10.0.0.0/24');
    await pool('q', '10.1.0.0/24');
    await look();
    expect((await client.get(ipPoolKind, 'p'))?.metadata.finalizers).toEqual([POOL_FINALIZER]);
    const [address] = await (await ipamOf('n1')).assign(request('a', { pools: { 4: ['p'] } }));
    expect(address).toMatch(/^10\.0\.0\./);

    const { text, notes } = await performed('delete', (await client.get(ipPoolKind, 'p'))!);
    expect(text).toBe("Successfully deleted 1 'IPPool' resource(s)");
    expect(notes.join()).toContain('IPPool p is being deleted: 1 address is in use');
    clock.advance(10_000);
    await look();
    clock.advance(10_000);
    await look();
    const waiting = await client.get(ipPoolKind, 'p');
    expect(waiting?.metadata.deletionTimestamp).toBeTruthy();
    expect(waiting?.status?.['conditions']).toMatchObject([
      {
        type: 'Allocatable',
        status: 'False',
        reason: 'Terminating',
        message: expect.stringContaining('1 address is in use'),
      },
    ]);

    // Neither from the node's own block, which has room, nor by pool name, nor by address.
    const ipam = await ipamOf('n1');
    expect(await ipam.assign(request('b'))).toEqual([expect.stringMatching(/^10\.1\.0\./)]);
    await expect(ipam.assign(request('c', { pools: { 4: ['p'] } }))).rejects.toThrow(
      'requested IPPool p is being deleted',
    );
    await expect(ipam.assign(request('d', { addresses: ['10.0.0.99'] }))).rejects.toThrow(
      'is in IPPool p, which is being deleted',
    );

    // The node releases the block at once, although it is the node's only one of the pool.
    await (await ipamOf('n1')).releaseHandle('a');
    expect((await client.list(ipamBlockKind)).filter(({ spec }) => spec.cidr.startsWith('10.0.'))).toEqual(
      [],
    );
    clock.advance(2_000);
    await look();
    expect(await client.get(ipPoolKind, 'p')).toBeUndefined();
    expect(await client.get(ipPoolKind, 'q')).toBeDefined();
  });

  it('does not wait for empty blocks, which are released once agents have seen the deletion', async () => {
    await pool('p', '10.0.0.0/24');
    await pool('q', '10.1.0.0/24');
    await look();
    const ipam = await ipamOf('n1');
    await ipam.assign(request('a', { pools: { 4: ['p'] } }));
    // Normally, a node keeps its last block of a family for the next pod, even if empty.
    await ipam.releaseHandle('a');
    await client.remove(ipPoolKind, 'p');
    await look();
    expect(await client.list(ipamBlockKind)).toHaveLength(1);
    clock.advance(3_000);
    await look();
    expect(await client.list(ipamBlockKind)).toEqual([]);
    expect(await client.get(ipPoolKind, 'p')).toBeUndefined();
  });

  it('is kept by calictl even if no controller has run or the pool is disabled', async () => {
    const made = await pool('p', '10.0.0.0/24');
    await (await ipamOf('n1')).assign(request('a'));
    await client.patch(ipPoolKind, 'p', { spec: { disabled: true } });
    await performed('delete', { ...made, metadata: { name: made.metadata.name } });
    expect((await client.get(ipPoolKind, 'p'))?.metadata.deletionTimestamp).toBeTruthy();
    // A manifest has no finalizers: applying it must not remove the pool's finalizer.
    const { finalizers: _, ...metadata } = made.metadata;
    await performed('apply', { ...made, metadata: { name: metadata.name } });
    expect((await client.get(ipPoolKind, 'p'))?.metadata.finalizers).toEqual([POOL_FINALIZER]);
  });
});

describe('KubeControllersConfiguration', () => {
  it('is created when missing, and a change takes effect at once', async () => {
    const running = configuration.run(abort.signal);
    await until('made', PATIENCE_MS, async () => {
      const made = await client.get(kubeControllersConfigurationKind, 'default');
      return made?.spec.controllers.node?.leakGracePeriod === '15m0s';
    });
    await until('heard of', PATIENCE_MS, () => looks > 0 && collector.stats.error === undefined);
    const before = looks;
    await client.patch(kubeControllersConfigurationKind, 'default', {
      spec: { controllers: { node: { leakGracePeriod: '0s' } } },
    });
    // The clock does not advance: the next regular round would be in five minutes.
    await until('looked again', PATIENCE_MS, () => looks > before);
    expect(configuration.read().object?.spec.controllers.node?.leakGracePeriod).toBe('0s');
    abort.abort();
    await running;
  });
});
