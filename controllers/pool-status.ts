/** IPPool.status: whether the pool can assign addresses, and why not. */
import type { Datastore } from '../datastore/datastore.ts';
import { type IPPool, ipPoolKind, isTerminating } from '../datastore/schema/ip-pool.ts';
import type { IpamSnapshot } from '../ipam/audit.ts';
import { allocationsOf } from '../ipam/block.ts';
import { blocksIn } from '../ipam/pool-use.ts';
import { mustCidr, sizeOf } from '../lib/cidr.ts';
import { type Condition, withCondition } from './conditions.ts';

const TYPE = 'Allocatable';

/** Returns the condition Allocatable of a pool. */
export function allocatable(pool: IPPool, blocks: IpamSnapshot['blocks']): Condition {
  const { spec } = pool;
  const used = blocksIn(pool, blocks).reduce((sum, block) => sum + allocationsOf(block.spec).length, 0);
  const no = (reason: string, message: string): Condition => ({
    type: TYPE,
    status: 'False',
    reason,
    message,
  });
  if (isTerminating(pool)) {
    const left = `${used} ${used === 1 ? 'address is' : 'addresses are'} in use`;
    return no('Terminating', `the pool is being deleted: ${left}; it is removed when all are free`);
  }
  if (spec.disabled) return no('PoolDisabled', 'disabled is true: the pool assigns no new addresses');
  if (BigInt(used) >= sizeOf(mustCidr(spec.cidr)))
    return no('PoolFull', 'every address is in use: add an IPPool or delete pods');
  if (spec.assignmentMode === 'Manual')
    return {
      type: TYPE,
      status: 'True',
      reason: 'OnRequest',
      message: 'assignmentMode is Manual: only pods and Services that name the pool get addresses',
    };
  return { type: TYPE, status: 'True', reason: 'PoolReady', message: 'addresses are available' };
}

/**
 * Writes changed statuses. `failed` is called for each pool that could not be written; the others are not affected.
 * peer-status-writer.ts handles pools with faults.
 */
export async function writePoolStatus(
  store: Datastore,
  { pools, blocks, unreadable = [] }: IpamSnapshot,
  now: number,
  failed: (pool: string, error: unknown) => void,
): Promise<void> {
  const troubled = new Set(unreadable.filter(({ kind }) => kind === ipPoolKind.kind).map(({ name }) => name));
  for (const pool of pools) {
    const { name } = pool.metadata;
    if (troubled.has(name)) continue;
    try {
      const conditions = withCondition(pool.status, allocatable(pool, blocks), now);
      if (conditions) await store.patch(ipPoolKind, name, { status: { conditions } }, { isStatus: true });
    } catch (error) {
      failed(name, error);
    }
  }
}
