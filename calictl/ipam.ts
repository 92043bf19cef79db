/** `calictl ipam …`: calicoctl's commands and tables over pools, blocks and their owners (Calico reference 6.3). */
import type { Datastore } from '../datastore/datastore.ts';
import { clusterInformationKind } from '../datastore/schema/cluster.ts';
import { ipPoolKind } from '../datastore/schema/ip-pool.ts';
import {
  type IPAMBlock,
  type IPAMConfiguration,
  type IPReservation,
  ipamBlockKind,
  ipamConfigurationKind,
  ipReservationKind,
} from '../datastore/schema/ipam.ts';
import { getTolerant } from '../datastore/tolerant.ts';
import { type Audit, audit, type IpamSnapshot, nodeOf } from '../ipam/audit.ts';
import { type Allocation, allocationsOf } from '../ipam/block.ts';
import { problemsOf } from '../ipam/problems.ts';
import {
  type Cidr,
  contains,
  formatAddress,
  mustCidr,
  overlaps,
  parseAddress,
  parseCidr,
  sizeOf,
} from '../lib/cidr.ts';
import { counted } from '../lib/counted.ts';
import { CodedError } from '../lib/errors.ts';
import { boxTable } from '../lib/table.ts';
import { VERSION } from '../lib/version.ts';

/** Shows pools, optionally with blocks: number of addresses in total, in use, reserved and free. */
export async function showPools(store: Datastore, hasBlocks: boolean): Promise<string> {
  const [pools, blocks, reservations] = await Promise.all([
    store.list(ipPoolKind),
    store.list(ipamBlockKind),
    store.list(ipReservationKind),
  ]);
  const reserved = largest(reservations.flatMap(networksOf));
  const rows = pools.flatMap(({ spec }) => {
    const network = mustCidr(spec.cidr);
    const inside = blocks.filter((block) => contains(network, mustCidr(block.spec.cidr)));
    const used = inside.flatMap((block) => allocationsOf(block.spec));
    return [
      usage('IP Pool', network, spec.cidr, used, reserved),
      ...(hasBlocks
        ? inside
            .toSorted((a, b) => Number(mustCidr(a.spec.cidr).value - mustCidr(b.spec.cidr).value))
            .map(({ spec: block }) =>
              usage('Block', mustCidr(block.cidr), block.cidr, allocationsOf(block), reserved),
            )
        : []),
    ];
  });
  return boxTable(['GROUPING', 'CIDR', 'IPS TOTAL', 'IPS IN USE', 'IPS RESERVED', 'IPS FREE'], rows);
}

function networksOf({ spec }: IPReservation): Cidr[] {
  return spec.reservedCIDRs.flatMap((text) => parseCidr(text) ?? []);
}

/** Omits networks that another one contains. The rest do not overlap. */
function largest(networks: readonly Cidr[]): Cidr[] {
  return networks.filter(
    (one, index) =>
      !networks.some(
        (other, position) =>
          position !== index && contains(other, one) && (position < index || !contains(one, other)),
      ),
  );
}

/** Returns a row. `reserved` are networks that do not overlap. */
function usage(
  grouping: string,
  network: Cidr,
  cidr: string,
  used: readonly Allocation[],
  reserved: readonly Cidr[],
): string[] {
  const total = Number(sizeOf(network));
  const inside = reserved.filter((one) => overlaps(one, network));
  const held = inside.reduce((sum, one) => sum + Math.min(Number(sizeOf(one)), total), 0);
  const free = Math.max(0, total - held - used.filter(({ address }) => !isIn(inside, address)).length);
  const share = (count: number) => `${digits(count)} (${Math.round((count / total) * 100)}%)`;
  return [grouping, cidr, digits(total), share(used.length), share(held), share(free)];
}

function isIn(networks: readonly Cidr[], address: string): boolean {
  return networks.length > 0 && networks.some((network) => contains(network, mustCidr(address)));
}

/** Formats a count with at most five significant digits. */
function digits(count: number): string {
  return count < 100_000 ? String(count) : String(Number(count.toPrecision(5)));
}

/** Shows borrowed addresses: those in the block of a different node than the one that uses them. */
export async function showBorrowed(store: Datastore): Promise<string> {
  const rows = (await store.list(ipamBlockKind)).flatMap((block) =>
    allocationsOf(block.spec)
      .filter(({ attributes }) => attributes['node'] !== nodeOf(block))
      .map(({ address, attributes }) => [
        address,
        attributes['node'] ?? '',
        block.spec.cidr,
        nodeOf(block) ?? '(none)',
        attributes['pod'] ? 'pod' : (attributes['type'] ?? 'other'),
        ownerOf(attributes),
      ]),
  );
  return boxTable(['IP', 'BORROWING-NODE', 'BLOCK', 'BLOCK OWNER', 'TYPE', 'ALLOCATED-TO'], rows);
}

function ownerOf(attributes: Allocation['attributes']): string {
  return attributes['pod']
    ? `${attributes['namespace']}/${attributes['pod']}`
    : (attributes['container'] ?? '');
}

export async function showConfiguration(store: Datastore): Promise<string> {
  const spec = (await store.get(ipamConfigurationKind, 'default'))?.spec;
  const rows = [
    ['StrictAffinity', String(spec?.strictAffinity ?? false)],
    ['AutoAllocateBlocks', String(spec?.autoAllocateBlocks ?? true)],
    ['MaxBlocksPerHost', String(spec?.maxBlocksPerHost ?? 0)],
  ];
  return boxTable(['PROPERTY', 'VALUE'], rows);
}

/** Shows the owner of an address. Throws CodedError INPUT for other text. */
export async function showAddress(store: Datastore, text: string): Promise<string> {
  const found = findAddress(await store.list(ipamBlockKind), text);
  if (!found) return `${text} is not assigned`;
  const { address, handleId, attributes } = found.allocation;
  const lines = Object.entries(attributes).map(([key, value]) => `  ${key}: ${value}`);
  return [
    `IP ${address} is in use`,
    `Handle ID: ${handleId || '<none>'}`,
    ...(lines.length > 0 ? ['Attributes:', ...lines] : ['No attributes defined']),
    `Block: ${found.block.spec.cidr} of ${nodeOf(found.block) ?? 'no node'}`,
  ].join('\n');
}

/** Returns an allocation and its block; undefined when the address is free. Throws CodedError INPUT. */
export function findAddress(
  blocks: readonly IPAMBlock[],
  text: string,
): { block: IPAMBlock; allocation: Allocation } | undefined {
  const parsed = parseAddress(text);
  if (!parsed)
    throw new CodedError('INPUT', `invalid IP address "${text}": write it as 10.244.0.5 or fd00::5`);
  const address = formatAddress(parsed);
  for (const block of blocks) {
    const allocation = allocationsOf(block.spec).find((one) => one.address === address);
    if (allocation) return { block, allocation };
  }
  return undefined;
}

/** Findings of `ipam check`, for `-o FILE` and `ipam release --from-report`. */
export interface Report {
  readonly version: string;
  readonly clusterGUID: string;
  readonly found: Audit;
  readonly problems: readonly string[];
}

export async function reportOf(store: Datastore, snapshot: IpamSnapshot): Promise<Report> {
  const { object: information } = await getTolerant(store, clusterInformationKind, 'default');
  return {
    version: VERSION,
    clusterGUID: information?.spec.clusterGUID ?? '',
    found: audit(snapshot),
    problems: problemsOf(snapshot),
  };
}

export function problemCount({ found, problems }: Report): number {
  const { leaks, spareHandles, spareAffinities, orphans } = found;
  return leaks.length + spareHandles.length + spareAffinities.length + orphans.length + problems.length;
}

/** Renders the report as text. */
export function renderCheck(
  { blocks, handles, nodes, pods }: IpamSnapshot,
  report: Report,
  hasAllAddresses: boolean,
): string {
  const { found, problems } = report;
  const taken = blocks.flatMap(({ spec }) => allocationsOf(spec));
  const perNode = nodes.map(
    ({ metadata: { name } }) => taken.filter(({ attributes }) => attributes['node'] === name).length,
  );
  const sorted = perNode.toSorted((a, b) => a - b);
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)];
  return [
    [
      `${counted(blocks.length, 'block')} with ${counted(taken.length, 'address', 'addresses')} in use`,
      counted(handles.length, 'handle'),
      `${counted(pods.length, 'pod')} on ${counted(nodes.length, 'node')}.`,
    ].join('; '),
    `Addresses per node: at most ${sorted.at(-1) ?? 0}, median ${sorted[Math.floor(sorted.length / 2)] ?? 0}.`,
    ...section(
      'Addresses in use:',
      hasAllAddresses
        ? taken.map(({ address, attributes }) => `${address} ${ownerOf(attributes)}`.trimEnd())
        : [],
    ),
    ...section(
      'Leaked addresses:',
      found.leaks.map(
        ({ address, handleId, reason }) => `${address} ${reason} (handle ${handleId || '<none>'})`,
      ),
    ),
    ...section(
      'Handles without addresses:',
      found.spareHandles.map(({ spec }) => spec.handleID),
    ),
    ...section(
      'Affinities without a block:',
      found.spareAffinities.map(({ spec }) => `${spec.cidr} of node ${spec.node}, ${spec.state}`),
    ),
    ...section(
      'Blocks of nodes that do not exist:',
      found.orphans.map((block) => `${block.spec.cidr} of node ${nodeOf(block)}`),
    ),
    ...section('Other problems:', problems),
    '',
    `Check complete; found ${problemCount(report)} problems.`,
  ].join('\n');
}

/** Changes the given settings. Returns a text with the new values. */
export async function configure(
  store: Datastore,
  change: Partial<Pick<IPAMConfiguration['spec'], 'strictAffinity' | 'maxBlocksPerHost'>>,
): Promise<string> {
  const name = 'default';
  const present = await store.get(ipamConfigurationKind, name);
  if (present)
    await store.update(ipamConfigurationKind, { ...present, spec: { ...present.spec, ...change } });
  else {
    const spec = { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0, ...change };
    const object = {
      apiVersion: 'projectcalico.org/v3',
      kind: 'IPAMConfiguration',
      metadata: { name },
      spec,
    };
    await store.create(ipamConfigurationKind, object);
  }
  const field = (key: string) => key.charAt(0).toUpperCase() + key.slice(1);
  return Object.entries(change)
    .map(([key, value]) => `Successfully set ${field(key)} to: ${value}`)
    .join('\n');
}
