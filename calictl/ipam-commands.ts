/** The command line of `calictl ipam`. */
import { writeFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { readSnapshot } from '../ipam/garbage.ts';
import { CodedError } from '../lib/errors.ts';
import {
  configure,
  problemCount,
  renderCheck,
  reportOf,
  showAddress,
  showBorrowed,
  showConfiguration,
  showPools,
} from './ipam.ts';
import { releaseAddress, releaseReports } from './release.ts';
import { repeatable } from './repeatable.ts';
import type { Surroundings } from './surroundings.ts';
import { refuse } from './unsupported.ts';

export function addIpamCommands(
  program: Command,
  { open, print, complain, setExitCode }: Surroundings,
): void {
  const ipam = program.command('ipam').description('show, check, release and configure addresses');
  ipam
    .command('show')
    .description('show pools and their usage')
    .option('--show-blocks', 'also show their blocks', false)
    .option('--show-borrowed, --borrowed', 'show addresses from blocks of other nodes', false)
    .option('--show-configuration', 'show IPAMConfiguration', false)
    .option('--ip <address>', 'show the owner of this address')
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
    .description('compare addresses with pods and nodes; exit 1 if there are problems')
    .option('--show-all-ips', 'list every address in use', false)
    .option('--show-problem-ips', 'no effect: addresses with problems are always listed', false)
    .option('-o, --output <file>', 'file for the report, for `ipam release --from-report`', fileName)
    .action(async (flags: { showAllIps: boolean; output?: string }) => {
      const store = await open();
      const snapshot = await readSnapshot(store);
      const report = await reportOf(store, snapshot);
      if (flags.output !== undefined)
        await writeFile(flags.output, `${JSON.stringify(report, undefined, 2)}\n`);
      print(renderCheck(snapshot, report, flags.showAllIps));
      setExitCode(problemCount(report) === 0 ? 0 : 1);
    });
  ipam
    .command('release')
    .description('free an address, or the findings of `ipam check`')
    .option('--ip <address>', 'address that no pod uses')
    .option(
      '--from-report <file>',
      'report whose findings to free if they still apply; repeatable: findings in all reports',
      repeatable,
    )
    .option('--force', 'free the address even if a pod uses it', false)
    .action(async (flags: { ip?: string; fromReport?: readonly string[]; force: boolean }) => {
      if (flags.ip !== undefined) {
        print(await releaseAddress(await open(), flags.ip, flags.force));
        return;
      }
      if (flags.fromReport === undefined)
        throw new CodedError('INPUT', 'ipam release: use --ip ADDRESS or --from-report FILE');
      const { text, failures } = await releaseReports(await open(), flags.fromReport);
      print(text);
      for (const failure of failures) complain(failure);
      if (failures.length > 0) setExitCode(1);
    });
  ipam
    .command('configure')
    .description('change IPAMConfiguration')
    .option('--strictaffinity <bool>', 'whether a node uses only its own blocks', bool)
    .option('--max-blocks-per-host <n>', 'maximum blocks per node and IP family; 0 means 20', count)
    .option(
      '--kubevirt-ip-persistence <mode>',
      'not supported: Cali does not integrate with KubeVirt',
      noKubeVirt,
    )
    .option(
      '--ip-cooldown-seconds <n>',
      'not supported: a block assigns the address that has been free longest',
      noCooldown,
    )
    .action(async (flags: { strictaffinity?: boolean; maxBlocksPerHost?: number }) => {
      const change = {
        ...(flags.strictaffinity === undefined ? {} : { strictAffinity: flags.strictaffinity }),
        ...(flags.maxBlocksPerHost === undefined ? {} : { maxBlocksPerHost: flags.maxBlocksPerHost }),
      };
      if (Object.keys(change).length === 0)
        throw new CodedError('INPUT', 'ipam configure: use --strictaffinity or --max-blocks-per-host');
      print(await configure(await open(), change));
    });
  refuse(
    ipam,
    'split',
    'IPPools must not overlap: create smaller ones in another range, and disable the old one',
  );
}

/** Parses a boolean in the spellings that Go accepts. */
function bool(text: string): boolean {
  if (['1', 't', 'true'].includes(text.toLowerCase())) return true;
  if (['0', 'f', 'false'].includes(text.toLowerCase())) return false;
  throw new InvalidArgumentError('must be true or false');
}

/** An empty variable of a shell must not skip the report. */
function fileName(text: string): string {
  if (text !== '') return text;
  throw new InvalidArgumentError('is empty: name the file for the report');
}

function noKubeVirt(): never {
  throw new InvalidArgumentError('Cali does not integrate with KubeVirt: omit the flag');
}

/** Refuses a cool-down. -1 is calicoctl's default and has no effect. */
function noCooldown(text: string): void {
  if (text !== '-1')
    throw new InvalidArgumentError(
      'Cali has no cool-down: a block assigns the address that has been free longest. Omit the flag',
    );
}

function count(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= 1_000_000) return value;
  throw new InvalidArgumentError('must be a whole number from 0 to 1000000');
}
