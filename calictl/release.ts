/** `calictl ipam release`: frees an address, or findings in reports of `ipam check` that still apply. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Datastore } from '../datastore/datastore.ts';
import { fieldPath } from '../datastore/field-path.ts';
import { ipamBlockKind } from '../datastore/schema/ipam.ts';
import { audit } from '../ipam/audit.ts';
import { addressesOf } from '../ipam/block.ts';
import { collect, readSnapshot, releaseLeaks } from '../ipam/garbage.ts';
import { getHandle, removeFromHandle } from '../ipam/handle.ts';
import { counted } from '../lib/counted.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import type { Done } from './done.ts';
import { findAddress, reportOf } from './ipam.ts';

/** Frees an address. Throws CodedError INPUT, NOT_FOUND, or IN_USE unless forced. */
export async function releaseAddress(store: Datastore, text: string, isForced: boolean): Promise<string> {
  const snapshot = await readSnapshot(store);
  const found = findAddress(snapshot.blocks, text);
  if (!found) throw new CodedError('NOT_FOUND', `IP address ${text} is not assigned`);
  const { allocation, block } = found;
  const { leaks } = audit(snapshot);
  const isUsed = !leaks.some(({ address }) => address === allocation.address);
  if (isUsed && !isForced) {
    const { pod, namespace, type, node } = allocation.attributes;
    const owner = pod ? `pod ${namespace}/${pod}` : `${type ?? 'its owner'}${node ? ` on ${node}` : ''}`;
    throw new CodedError(
      'IN_USE',
      `${text} is used by ${owner}: delete it first, or use --force and risk a duplicate address`,
    );
  }
  const leak = { ...allocation, cidr: block.spec.cidr, reason: '', isNodeGone: false };
  const [address] = await releaseLeaks(store, block.spec.cidr, [leak]);
  if (address === undefined) return `IP address ${text} has a new owner: nothing was released`;
  // The handle stays while it has other addresses.
  const others = (await store.list(ipamBlockKind)).flatMap(({ spec }) =>
    addressesOf(spec, allocation.handleId),
  );
  const handle = others.length === 0 ? await getHandle(store, allocation.handleId) : undefined;
  if (handle) await removeFromHandle(store, allocation.handleId, Object.keys(handle.spec.block));
  return `Successfully released IP address ${address}`;
}

/** Required content of a report for `--from-report`. */
const named = z.object({
  metadata: z.object({ name: z.string(), resourceVersion: z.string().optional() }),
});
const reportSchema = z.object({
  clusterGUID: z.string(),
  found: z.object({
    leaks: z.array(z.object({ address: z.string(), handleId: z.string(), sequence: z.number() })),
    spareHandles: z.array(named),
    spareAffinities: z.array(named),
    orphans: z.array(named),
  }),
});
type ReadReport = z.output<typeof reportSchema>;
type Found = ReadReport['found'];

const leakKey = ({ address, handleId, sequence }: Found['leaks'][number]) =>
  `${address} ${handleId} ${sequence}`;
const versionKey = ({ metadata }: z.output<typeof named>) => `${metadata.name}@${metadata.resourceVersion}`;
const nameKey = ({ metadata }: z.output<typeof named>) => metadata.name;

/** Releases findings that are in every report and in a new audit. Throws CodedError INPUT. */
export async function releaseReports(store: Datastore, files: readonly string[]): Promise<Done> {
  const reports = await Promise.all(files.map(readReport));
  const now = await reportOf(store, await readSnapshot(store));
  const foreign = files.filter((_, index) => reports[index]?.clusterGUID !== now.clusterGUID);
  if (foreign.length > 0)
    throw new CodedError(
      'INPUT',
      `${foreign.join(', ')}: from another cluster: run \`calictl ipam check -o FILE\` on this cluster`,
    );
  const inAll = <R, T extends R>(
    current: readonly T[],
    reported: (found: Found) => readonly R[],
    key: (item: R) => string,
  ) => {
    const keys = reports.map(({ found }) => new Set(reported(found).map(key)));
    return current.filter((item) => keys.every((one) => one.has(key(item))));
  };
  const { found } = now;
  const failures: string[] = [];
  const { addresses, handles, affinities, blocks } = await collect(
    store,
    {
      leaks: inAll(found.leaks, ({ leaks }) => leaks, leakKey),
      spareHandles: inAll(found.spareHandles, ({ spareHandles }) => spareHandles, versionKey),
      spareAffinities: inAll(found.spareAffinities, ({ spareAffinities }) => spareAffinities, versionKey),
      orphans: inAll(found.orphans, ({ orphans }) => orphans, nameKey),
      spareBlocks: [],
    },
    (what, error) => failures.push(`${what}: ${messageOf(error)}`),
  );
  const freed = [
    counted(addresses.length, 'address', 'addresses'),
    counted(handles.length, 'handle'),
    counted(affinities.length, 'affinity', 'affinities'),
    counted(blocks.length, 'block'),
  ];
  const text = `Released ${freed.join(', ')}; ${counted(failures.length, 'error')}.`;
  return { text, failures };
}

async function readReport(file: string): Promise<ReadReport> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new CodedError('INPUT', `${file}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const parsed = reportSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const field = fieldPath(parsed.error.issues[0]?.path ?? []);
  throw new CodedError('INPUT', `${file}: is not a report of \`calictl ipam check -o FILE\` (${field})`);
}
