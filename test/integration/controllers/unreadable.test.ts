import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PeerStatusModules, PeerStatusWriter } from '../../../controllers/peer-status-writer.ts';
import { plainAddress } from '../../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { bgpPeerKind } from '../../../datastore/schema/bgp-peer.ts';
import { nodeKind, podKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { ipamBlockKind, ipamHandleKind } from '../../../datastore/schema/ipam.ts';
import type { ResourceDefinition } from '../../../datastore/schema/resource.ts';
import { Shared } from '../../../datastore/shared.ts';
import { audit } from '../../../ipam/audit.ts';
import { assignNext, newBlock } from '../../../ipam/block.ts';
import { readSnapshot } from '../../../ipam/garbage.ts';
import { silentLog } from '../../../lib/log.ts';
import { systemTime } from '../../../lib/time.ts';
import { HostileApi } from '../../helpers/hostile-api.ts';
import { until } from '../../helpers/lab.ts';

const PATIENCE_MS = 150_000;

let api: HostileApi;
let client: KubernetesClient;
beforeEach(async () => {
  api = await HostileApi.start();
  client = new KubernetesClient(plainAddress(api.url));
});
afterEach(() => api.close());

const put = (definition: ResourceDefinition, name: string, spec: object, more: object = {}) =>
  api.put(definition, {
    apiVersion: definition.group === '' ? 'v1' : 'projectcalico.org/v3',
    kind: definition.kind,
    metadata: { name },
    spec,
    ...more,
  });
const shared = () => ({
  nodes: new Shared(nodeKind, { client, time: systemTime, log: silentLog }),
  pools: new Shared(ipPoolKind, { client, time: systemTime, log: silentLog }),
});
/** Runs a writer together with the reflectors that it shares with others. */
const start = (modules: PeerStatusModules, signal: AbortSignal) => {
  const running = new PeerStatusWriter(modules).run(signal);
  const { nodes, pools } = modules;
  return Promise.all([running, nodes.informer.run(signal), pools.informer.run(signal)]);
};
const conditionOf = (definition: ResourceDefinition, name: string) => {
  const { status } = (api.get(definition, name) ?? {}) as {
    status?: { conditions?: { type: string; status: string; message: string }[] };
  };
  return status?.conditions?.find(({ type }) => type === 'Accepted');
};

describe('the condition Accepted', () => {
  it('is False with the reason while an object cannot be read, and True once it is corrected', async () => {
    put(ipPoolKind, 'bad', { cidr: '10.99.0.0/33' });
    put(ipPoolKind, 'good', { cidr: '10.98.0.0/16' });
    put(bgpPeerKind, 'worse', { peerIP: '10.0.0.300', asNumber: 7 });
    const abort = new AbortController();
    const running = start(
      {
        client,
        clock: systemTime,
        log: silentLog,
        reflectorNamespaces: ['kube-system'],
        ...shared(),
      },
      abort.signal,
    );
    await until('both are named', PATIENCE_MS, () =>
      [conditionOf(ipPoolKind, 'bad'), conditionOf(bgpPeerKind, 'worse')].every(
        (condition) => condition?.status === 'False',
      ),
    );
    expect(conditionOf(ipPoolKind, 'bad')?.message).toMatch(
      /^spec\.cidr: "10\.99\.0\.0\/33" is not a network/,
    );
    put(ipPoolKind, 'bad', { cidr: '10.99.0.0/16' }, { status: api.get(ipPoolKind, 'bad')?.['status'] });
    await until('it is accepted', PATIENCE_MS, () => conditionOf(ipPoolKind, 'bad')?.status === 'True');
    expect(conditionOf(ipPoolKind, 'good')).toBeUndefined();
    abort.abort();
    await running;
  });
});

it('a fault in the calculation for BGPPeers does not affect IPPools, and the calculation is retried', async () => {
  put(bgpPeerKind, 'p', { peerIP: '10.0.0.3', asNumber: 7 });
  put(ipPoolKind, 'bad', { cidr: '10.99.0.0/33' });
  const warnings: string[] = [];
  let calls = 0;
  // Only the calculation for BGPPeers reads the names of the namespaces.
  const modules = {
    client,
    // Shortens the pause before the next attempt.
    clock: { ...systemTime, after: (_: number, run: () => void) => systemTime.after(200, run) },
    log: { ...silentLog, warn: (details: object) => void warnings.push(JSON.stringify(details)) },
    ...shared(),
    get reflectorNamespaces(): string[] {
      if (++calls === 1) throw new TypeError('broken');
      return ['kube-system'];
    },
  };
  const abort = new AbortController();
  const running = start(modules, abort.signal);
  await until('the pool is named', PATIENCE_MS, () => conditionOf(ipPoolKind, 'bad')?.status === 'False');
  expect(warnings.join()).toMatch(/BGPPeer p.*broken/);
  await until(
    'the peer has its status',
    PATIENCE_MS,
    () => api.get(bgpPeerKind, 'p')?.['status'] !== undefined,
  );
  abort.abort();
  await running;
});

describe('garbage collection', () => {
  it('frees nothing that may belong to an unreadable object', async () => {
    const owner = (pod: string) => ({
      handleId: `h-${pod}`,
      attributes: { node: 'n1', namespace: 'default', pod },
    });
    let spec = newBlock('10.0.0.0/30', 'n1', 1);
    for (const pod of ['unreadable', 'gone']) spec = assignNext(spec, owner(pod), () => false)!.block;
    put(ipamBlockKind, '10-0-0-0-30', spec);
    put(ipamBlockKind, 'broken', { cidr: 'x' });
    put(ipamHandleKind, 'h-other', { handleID: 'h-other', block: { '10.9.0.0/30': 1 } });
    put(nodeKind, 'n1', {}, { status: { addresses: 'none' } });
    put(ipPoolKind, 'bad', { cidr: '10.0.0.0/33' });
    api.put(podKind, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'unreadable', namespace: 'default' },
      spec: { nodeName: 7 },
    });
    const found = audit(await readSnapshot(client));
    expect(found.leaks.map(({ handleId }) => handleId)).toEqual(['h-gone']);
    expect({ ...found, leaks: [] }).toEqual({
      leaks: [],
      spareHandles: [],
      spareAffinities: [],
      orphans: [],
      spareBlocks: [],
    });
  });
});
