/** The command line of `calictl ipam`. */
import { readFile, writeFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { Datastore } from '../datastore/datastore.ts';
import { ipamBlockKind } from '../datastore/schema/ipam.ts';
import { type Audit, audit } from '../ipam/audit.ts';
import { addressesOf } from '../ipam/block.ts';
import { collect, readSnapshot, releaseLeaks } from '../ipam/garbage.ts';
import { getHandle, removeFromHandle } from '../ipam/handle.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import {
  configure,
  findAddress,
  problemCount,
  type Report,
  renderCheck,
  reportOf,
  showAddress,
  showBorrowed,
  showConfiguration,
  showPools,
} from './ipam.ts';
import { repeatable } from './repeatable.ts';
import type { Surroundings } from './surroundings.ts';
import { refuse } from './unsupported.ts';

export function addIpamCommands(program: Command, { open, print, setExitCode }: Surroundings): void {
  const ipam = program.command('ipam').description('addresses: who has them, and whether all is well');
  ipam
    .command('show')
    .description('pools and how full they are')
    .option('--show-blocks', 'with their blocks', false)
    .option('--show-borrowed, --borrowed', 'addresses in blocks of other nodes', false)
    .option('--show-configuration', 'IPAMConfiguration', false)
    .option('--ip <address>', 'who has this address')
    .action(
      async (flags: { showBlocks: boolean; borrowed: boolean; showConfiguration: boolean; ip?: string }) => {
        if (flags.ip !== undefined) print(await showAddress(await open(), flags.ip));
        else if (flags.borrowed) print(await showBorrowed(await open()));
        else if (flags.showConfiguration) print(await showConfiguration(await open()));
        else print(await showPools(await open(), flags.showBlocks));
      },
    );
  ipam
    .command('check')
    .description('compare addresses with pods and nodes; exit 1 when something is wrong')
    .option('--show-all-ips', 'list every address in use', false)
    .option('--show-problem-ips', 'as calicoctl has it: addresses with a problem are always listed', false)
    .option('-o, --output <file>', 'write the report, for `ipam release --from-report`')
    .action(async (flags: { showAllIps: boolean; output?: string }) => {
      const store = await open();
      const snapshot = await readSnapshot(store);
      const report = await reportOf(store, snapshot);
      if (flags.output) await writeFile(flags.output, `${JSON.stringify(report, undefined, 2)}\n`);
      print(renderCheck(snapshot, report, flags.showAllIps));
      setExitCode(problemCount(report) === 0 ? 0 : 1);
    });
  ipam
    .command('release')
    .description('free an address, or what a report of `ipam check` found')
    .option('--ip <address>', 'an address that no pod uses any more')
    .option(
      '--from-report <file>',
      'leaks, handles, affinities and blocks of this report that are still so; repeatable: of all of them',
      repeatable,
    )
    .option('--force', 'also when a pod uses the address', false)
    .action(async (flags: { ip?: string; fromReport?: readonly string[]; force: boolean }) => {
      if (flags.ip !== undefined) print(await releaseAddress(await open(), flags.ip, flags.force));
      else if (flags.fromReport !== undefined) print(await releaseReports(await open(), flags.fromReport));
      else throw new CodedError('INPUT', 'ipam release: say what, by --ip ADDRESS or --from-report FILE');
    });
  ipam
    .command('configure')
    .description('change IPAMConfiguration')
    .option('--strictaffinity <bool>', 'whether a node uses its own blocks alone', bool)
    .option('--max-blocks-per-host <n>', 'blocks of a family per node; 0: 20', count)
    .option(
      '--kubevirt-ip-persistence <mode>',
      'not supported: Cali does not know virtual machines',
      noKubeVirt,
    )
    .option(
      '--ip-cooldown-seconds <n>',
      'not supported: blocks give out the longest free address',
      noCooldown,
    )
    .action(async (flags: { strictaffinity?: boolean; maxBlocksPerHost?: number }) => {
      const change = {
        ...(flags.strictaffinity === undefined ? {} : { strictAffinity: flags.strictaffinity }),
        ...(flags.maxBlocksPerHost === undefined ? {} : { maxBlocksPerHost: flags.maxBlocksPerHost }),
      };
      if (Object.keys(change).length === 0)
        throw new CodedError('INPUT', 'ipam configure: give --strictaffinity or --max-blocks-per-host');
      print(await configure(await open(), change));
    });
  refuse(ipam, 'split', 'pools may not overlap: create smaller IPPools beside the old one, and disable that');
}

async function releaseAddress(store: Datastore, text: string, isForced: boolean): Promise<string> {
  const snapshot = await readSnapshot(store);
  const found = findAddress(snapshot.blocks, text);
  if (!found) throw new CodedError('NOT_FOUND', `IP address ${text} is not assigned`);
  const { allocation, block } = found;
  const { leaks } = audit(snapshot);
  const isUsed = !leaks.some(({ address }) => address === allocation.address);
  if (isUsed && !isForced) {
    const { pod, namespace, type, node } = allocation.attributes;
    const owner = pod ? `pod ${namespace}/${pod}` : `${type ?? 'its owner'} on ${node}`;
    throw new CodedError(
      'IN_USE',
      `${text} is used by ${owner}: delete that first, or add --force and two may get it`,
    );
  }
  const leak = { ...allocation, cidr: block.spec.cidr, reason: '', isNodeGone: false };
  const [address] = await releaseLeaks(store, block.spec.cidr, [leak]);
  if (address === undefined) return `IP address ${text} has another owner meanwhile: nothing was released`;
  // The handle stays while it has another address.
  const others = (await store.list(ipamBlockKind)).flatMap(({ spec }) =>
    addressesOf(spec, allocation.handleId),
  );
  const handle = others.length === 0 ? await getHandle(store, allocation.handleId) : undefined;
  if (handle) await removeFromHandle(store, allocation.handleId, Object.keys(handle.spec.block));
  return `Successfully released IP address ${address}`;
}

/** Releases what every report names and an audit finds now as well. */
async function releaseReports(store: Datastore, files: readonly string[]): Promise<string> {
  const reports = await Promise.all(files.map(readReport));
  const now = await reportOf(store, await readSnapshot(store));
  const foreign = files.filter((_, index) => reports[index]?.clusterGUID !== now.clusterGUID);
  if (foreign.length > 0)
    throw new CodedError(
      'INPUT',
      `${foreign.join(', ')} is of another cluster: run \`calictl ipam check -o FILE\` on this one`,
    );
  const same = <T>(
    current: readonly T[],
    reported: (found: Audit) => readonly T[],
    key: (item: T) => string,
  ) => {
    const keys = reports.map(({ found: one }) => new Set(reported(one).map(key)));
    return current.filter((item) => keys.every((one) => one.has(key(item))));
  };
  const named = ({ metadata }: { metadata: { name: string; resourceVersion?: string | undefined } }) =>
    `${metadata.name}@${metadata.resourceVersion}`;
  const { found } = now;
  const failures: string[] = [];
  const released = await collect(
    store,
    {
      leaks: same(
        found.leaks,
        ({ leaks }) => leaks,
        (one) => `${one.address} ${one.handleId} ${one.sequence}`,
      ),
      spareHandles: same(found.spareHandles, ({ spareHandles }) => spareHandles, named),
      spareAffinities: same(found.spareAffinities, ({ spareAffinities }) => spareAffinities, named),
      orphans: same(
        found.orphans,
        ({ orphans }) => orphans,
        ({ metadata }) => metadata.name,
      ),
      spareBlocks: [],
    },
    (what, error) => failures.push(`${what}: ${messageOf(error)}`),
  );
  return [
    `Released ${released.addresses.length} addresses, ${released.handles.length} handles, ${released.affinities.length} affinities, ${released.blocks.length} blocks; ${failures.length} errors.`,
    ...failures,
  ].join('\n');
}

async function readReport(file: string): Promise<Report> {
  try {
    const report = JSON.parse(await readFile(file, 'utf8')) as Partial<Report>;
    if (Array.isArray(report.found?.leaks)) return report as Report;
  } catch (error) {
    throw new CodedError('INPUT', `${file}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
  throw new CodedError('INPUT', `${file}: is no report of \`calictl ipam check -o FILE\``);
}

/** The spellings that Go takes. */
function bool(text: string): boolean {
  if (['1', 't', 'true'].includes(text.toLowerCase())) return true;
  if (['0', 'f', 'false'].includes(text.toLowerCase())) return false;
  throw new InvalidArgumentError('must be true or false');
}

function noKubeVirt(): never {
  throw new InvalidArgumentError('Cali does not know virtual machines: leave the flag out');
}

/** -1 is calicoctl's default and changes nothing. */
function noCooldown(text: string): void {
  if (text !== '-1')
    throw new InvalidArgumentError(
      'Cali has no cool-down: a block gives out the address that has been free longest. Leave the flag out',
    );
}

function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value <= 1_000_000) return value;
  throw new InvalidArgumentError('must be a whole number from 0 to 1000000');
}
