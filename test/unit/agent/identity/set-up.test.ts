import { expect, it } from 'vitest';
import { setUpNode } from '../../../../agent/identity/set-up.ts';
import { readConfig } from '../../../../agent/inputs/environment.ts';
import { felixConfigurationKind } from '../../../../datastore/schema/cluster.ts';
import { nodeAnnotations, nodeKind } from '../../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../../datastore/schema/ip-pool.ts';
import type { LinkAddress } from '../../../../kernel/port.ts';
import { CodedError } from '../../../../lib/errors.ts';
import { silentLog } from '../../../../lib/log.ts';
import { MemoryStore } from '../../../helpers/memory-store.ts';

const interfaces = [{ device: 'eth0', isUp: true, mtu: 1500, cidr: '10.0.0.5/24', scope: 'global' }] as const;

/** Sets n1 up in a store. Every wait takes its full time on the clock and no real time. */
function start(
  waited: (now: number, store: MemoryStore) => unknown,
  readAddresses: () => Promise<readonly LinkAddress[]> = async () => interfaces,
) {
  const store = new MemoryStore();
  const failures: [string, boolean][] = [];
  let now = 0;
  const time = {
    random: () => 0.5,
    now: () => now,
    after(delayMs: number, callback: () => void) {
      now += delayMs;
      void Promise.resolve(waited(now, store)).then(callback);
      return () => {};
    },
  };
  const done = setUpNode(readConfig({ NODENAME: 'n1' }), {
    store,
    kernel: { readAddresses, sourceOfPacketsTo: async () => undefined },
    time,
    log: silentLog,
    failed: (reason, isLate) => failures.push([reason, isLate]),
  });
  return { store, failures, done };
}
const createNode = (store: MemoryStore) =>
  store.create(nodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, spec: {}, status: {} });

it('a node is set up when its Node appears: with its address, the defaults and a pool', async () => {
  const { store, failures, done } = start((now, at) => now > 1_000 && createNode(at).catch(() => {}));
  expect((await done).addresses[4]).toEqual({ address: '10.0.0.5', length: 24 });
  expect((await store.get(nodeKind, 'n1'))?.metadata.annotations).toMatchObject({
    [nodeAnnotations.ipv4Address]: '10.0.0.5/24',
  });
  expect(store.all(felixConfigurationKind)).toHaveLength(1);
  expect(store.all(ipPoolKind)).toHaveLength(1);
  expect(failures.length).toBeGreaterThan(1);
  expect(failures.every(([reason, isLate]) => reason.startsWith('Node n1 does not exist') && !isLate)).toBe(
    true,
  );
});

it('a set-up is late after ten seconds', async () => {
  const { failures, done } = start((now, store) => now > 20_000 && createNode(store).catch(() => {}));
  await done;
  expect(failures[0]?.[1]).toBe(false);
  expect(failures.at(-1)?.[1]).toBe(true);
});

it('a configuration that cannot work ends the set-up', async () => {
  const { failures, done } = start(
    (_, store) => createNode(store),
    async () => {
      throw new CodedError('CONFIG', 'ip is not installed');
    },
  );
  await expect(done).rejects.toMatchObject({ code: 'CONFIG' });
  expect(failures).toEqual([]);
});
