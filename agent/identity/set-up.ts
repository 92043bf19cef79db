/** Sets the node up: publishes its addresses and creates the objects that every cluster has. Retries until it can. */
import type { Datastore } from '../../datastore/datastore.ts';
import type { Kernel } from '../../kernel/port.ts';
import { Backoff } from '../../lib/backoff.ts';
import { CodedError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { delay, type Time } from '../../lib/time.ts';
import type { NodeInfo } from '../../model/node.ts';
import type { AgentConfig } from '../inputs/environment.ts';
import { sourceFinder } from './autodetect.ts';
import { ensureDefaults, ensurePools, publishNode } from './node-setup.ts';

/** After this time of set-up, the network counts as unavailable. A shorter start does not change the condition. */
const GRACE_MS = 10_000;
const RETRY = { firstMs: 200, maxMs: 5_000 };

export interface SetUpModules {
  readonly store: Datastore;
  readonly kernel: Pick<Kernel, 'readAddresses' | 'sourceOfPacketsTo'>;
  readonly time: Pick<Time, 'now' | 'after' | 'random'>;
  readonly log: Log;
  /** Called with the reason of each failed attempt. `isLate` is true when the set-up takes too long. */
  readonly failed: (reason: string, isLate: boolean) => void;
}

/** Returns the published node. Rejects with CodedError CONFIG when the operator must act. */
export async function setUpNode(config: AgentConfig, modules: SetUpModules): Promise<NodeInfo> {
  const { time, log, failed } = modules;
  const backoff = new Backoff(RETRY, () => time.random());
  const startedAt = time.now();
  for (;;) {
    try {
      return await attempt(config, modules);
    } catch (error) {
      if (error instanceof CodedError && error.code === 'CONFIG') throw error;
      const reason = messageOf(error);
      log.warn({ reason }, 'node setup failed: retrying');
      failed(reason, time.now() - startedAt > GRACE_MS);
      await delay(time, backoff.next());
    }
  }
}

async function attempt(config: AgentConfig, { store, kernel, log }: SetUpModules): Promise<NodeInfo> {
  const addresses = await kernel.readAddresses();
  const modules = { store, addresses: () => addresses, sourceTowards: sourceFinder(kernel), log };
  const self = await publishNode(config, modules);
  await ensureDefaults(store);
  const families = ([4, 6] as const).filter((family) => self.addresses[family]);
  const made = await ensurePools(config, families, store);
  if (made.length > 0) log.info({ pools: made }, 'default IPPools created: the cluster had none');
  return self;
}
