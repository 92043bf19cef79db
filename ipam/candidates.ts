/** Chooses pools and blocks for an address, in order of preference. Calico reference 5.2. */
import type { IPPool } from '../datastore/schema/ip-pool.ts';
import { blockSizeOf, isTerminating } from '../datastore/schema/ip-pool.ts';
import {
  addressAt,
  bitsOf,
  type Cidr,
  canonicalCidr,
  contains,
  type Family,
  formatCidr,
  mustCidr,
  networkOf,
  overlaps,
  parseCidr,
  sizeOf,
} from '../lib/cidr.ts';
import { printable } from '../lib/plain-text.ts';
import { parseSelector } from '../lib/selector.ts';

export interface PoolRequest {
  readonly family: Family;
  readonly use: 'Workload' | 'Tunnel';
  readonly nodeLabels: Readonly<Record<string, string>>;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  /** Pools requested by name or CIDR. Their selectors are ignored. */
  readonly named?: readonly string[] | undefined;
}

/** Returns the pools that may serve a request, or the reason why none may. */
export function choosePools(
  pools: readonly IPPool[],
  request: PoolRequest,
):
  | { readonly ok: true; readonly pools: readonly IPPool[] }
  | { readonly ok: false; readonly reason: string } {
  if (request.named && request.named.length > 0) return namedPools(pools, request.named, request);
  const usable = pools.filter(
    (pool) =>
      !pool.spec.disabled &&
      !isTerminating(pool) &&
      parseCidr(pool.spec.cidr)?.family === request.family &&
      pool.spec.allowedUses.includes(request.use) &&
      pool.spec.assignmentMode === 'Automatic' &&
      selects(pool.spec.nodeSelector, request.nodeLabels) &&
      selects(pool.spec.namespaceSelector ?? '', request.namespaceLabels),
  );
  if (usable.length > 0) return { ok: true, pools: byName(usable) };
  return {
    ok: false,
    reason:
      `no IPv${request.family} pool qualifies: none of the ${pools.length} IPPools is an enabled ` +
      `IPv${request.family} pool that allows ${request.use} and selects this node and namespace. Create or enable one (calictl get ippools -o wide)`,
  };
}

/** Maximum number of pools in an annotation or the network configuration. */
const MAX_NAMED = 100;

function namedPools(pools: readonly IPPool[], named: readonly string[], request: PoolRequest) {
  const chosen: IPPool[] = [];
  if (named.length > MAX_NAMED)
    return { ok: false as const, reason: `${named.length} IPPools are requested, more than ${MAX_NAMED}` };
  for (const asked of new Set(named)) {
    const name = printable(asked, 253);
    const cidr = canonicalCidr(asked);
    const pool = pools.find(
      ({ metadata, spec }) =>
        metadata.name === asked || (cidr !== undefined && canonicalCidr(spec.cidr) === cidr),
    );
    if (!pool) return { ok: false as const, reason: `requested IPPool ${name} does not exist` };
    if (pool.spec.disabled) return { ok: false as const, reason: `requested IPPool ${name} is disabled` };
    if (isTerminating(pool))
      return { ok: false as const, reason: `requested IPPool ${name} is being deleted` };
    if (parseCidr(pool.spec.cidr)?.family !== request.family) {
      return {
        ok: false as const,
        reason: `requested IPPool ${name} (${pool.spec.cidr}) has no IPv${request.family} addresses`,
      };
    }
    if (!pool.spec.allowedUses.includes(request.use)) {
      return {
        ok: false as const,
        reason: `requested IPPool ${name} does not list ${request.use} in allowedUses`,
      };
    }
    chosen.push(pool);
  }
  return { ok: true as const, pools: chosen };
}

function selects(selector: string, labels: Readonly<Record<string, string>>): boolean {
  const parsed = parseSelector(selector);
  return parsed.ok && parsed.matches(labels);
}

function byName(pools: readonly IPPool[]): readonly IPPool[] {
  return pools.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/**
 * Yields the free block CIDRs of a pool, with wrap-around, from a start that depends on the node. So nodes that claim
 * at the same time rarely compete for one block. Reserved ranges are skipped as a whole, because one may hold more
 * blocks than could ever be counted.
 */
export function* freeBlocks(
  pool: IPPool,
  node: string,
  isTaken: (cidr: string) => boolean,
  reserved: readonly Cidr[] = [],
): Generator<string> {
  const network = mustCidr(pool.spec.cidr);
  const length = blockSizeOf(pool);
  const count = 1n << BigInt(length - network.length);
  const step = 1n << BigInt(bitsOf(network.family) - length);
  const start = BigInt(fnv32(node)) % count;
  const ranges = reserved.filter((range) => overlaps(range, network));
  for (let i = 0n; i < count; ) {
    const index = (start + i) % count;
    const block = { ...addressAt(network, index * step), length };
    const range = ranges.find((one) => contains(one, block));
    if (range) {
      // Continue at the first block after the range, or at the pool's first one.
      const behind = networkOf(range).value + sizeOf(range) - networkOf(network).value;
      const next = behind / step < count ? behind / step : count;
      i += next - index;
      continue;
    }
    i++;
    const cidr = formatCidr(block);
    if (!isTaken(cidr)) yield cidr;
  }
}

/** FNV-1a, 32 bit. */
function fnv32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
