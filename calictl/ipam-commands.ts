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
      if (flags.ip !== undefined) {
        print(await releaseAddress(await open(), flags.ip, flags.force));
        return;
      }
      if (flags.fromReport === undefined)
        throw new CodedError('INPUT', 'ipam release: say what, by --ip ADDRESS or --from-report FILE');
      const { text, failures } = await releaseReports(await open(), flags.fromReport);
      print(text);
      for (const failure of failures) complain(failure);
      if (failures.length > 0) setExitCode(1);
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

/** Parses a boolean in the spellings that Go accepts. */
function bool(text: string): boolean {
  if (['1', 't', 'true'].includes(text.toLowerCase())) return true;
  if (['0', 'f', 'false'].includes(text.toLowerCase())) return false;
  throw new InvalidArgumentError('must be true or false');
}

function noKubeVirt(): never {
  throw new InvalidArgumentError('Cali does not know virtual machines: leave the flag out');
}

/** Refuses a cool-down. -1 is calicoctl's default and has no effect. */
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
