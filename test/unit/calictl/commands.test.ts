import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addBgpCommands } from '../../../calictl/bgp-commands.ts';
import { addClusterCommands } from '../../../calictl/cluster-commands.ts';
import { addIpamCommands } from '../../../calictl/ipam-commands.ts';
import { addResourceCommands } from '../../../calictl/resource-commands.ts';
import type { Surroundings } from '../../../calictl/surroundings.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { ipamBlockKind, ipamConfigurationKind } from '../../../datastore/schema/ipam.ts';
import { blockOf, podHolder } from '../../helpers/blocks.ts';
import { MemoryApi } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

let store: MemoryApi;
let folder: string;
let printed: string[];
let complaints: string[];
let exitCode: number;
beforeEach(() => {
  store = new MemoryApi();
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-commands-'));
  [printed, complaints, exitCode] = [[], [], 0];
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a command line. Rejects as the command does. */
async function run(...args: string[]): Promise<void> {
  const program = new Command('calictl').exitOverride().configureOutput({ writeErr: () => undefined });
  const surroundings: Surroundings = {
    open: async () => store,
    print: (line) => printed.push(line),
    complain: (sentence) => complaints.push(sentence),
    columns: () => undefined,
    setExitCode: (code) => {
      exitCode = code;
    },
  };
  addBgpCommands(program, surroundings);
  addIpamCommands(program, surroundings);
  addResourceCommands(program, surroundings);
  addClusterCommands(program, surroundings);
  await program.parseAsync(args, { from: 'user' });
}
const configuration = async () => (await store.get(ipamConfigurationKind, 'default'))?.spec;

describe('calictl ipam configure', () => {
  it.each([
    ['t', true],
    ['TRUE', true],
    ['1', true],
    ['f', false],
    ['0', false],
  ])('reads --strictaffinity %s as Go does', async (spelling, value) => {
    await run('ipam', 'configure', '--strictaffinity', spelling);
    expect(await configuration()).toMatchObject({ strictAffinity: value });
  });

  it.each([
    ['--strictaffinity', 'yes', 'must be true or false'],
    ['--strictaffinity', '', 'must be true or false'],
    ['--max-blocks-per-host', '', 'must be a whole number'],
    ['--max-blocks-per-host', ' ', 'must be a whole number'],
    ['--max-blocks-per-host', '0x10', 'must be a whole number'],
    ['--max-blocks-per-host', '1e3', 'must be a whole number'],
    ['--max-blocks-per-host', '1.5', 'must be a whole number'],
    ['--max-blocks-per-host', '1000001', 'must be a whole number'],
    ['--ip-cooldown-seconds', '60', 'Cali has no cool-down'],
    ['--kubevirt-ip-persistence', 'Enabled', 'does not integrate with KubeVirt'],
  ])('refuses %s %j and changes nothing', async (flag, value, sentence) => {
    await expect(run('ipam', 'configure', flag, value)).rejects.toThrow(sentence);
    expect(await configuration()).toBeUndefined();
  });

  it('needs a setting', async () => {
    await expect(run('ipam', 'configure')).rejects.toThrow('use --strictaffinity or --max-blocks-per-host');
    await expect(run('ipam', 'configure', '--ip-cooldown-seconds=-1')).rejects.toThrow(
      'use --strictaffinity',
    );
  });
});

describe('calictl ipam', () => {
  it('check exits with code 1 when it finds problems, and writes them to the file of -o', async () => {
    await run('ipam', 'check');
    expect(exitCode).toBe(0);
    await store.create(ipPoolKind, ipPool('10.0.0.0/24'));
    await store.create(ipamBlockKind, blockOf('gone', '10.0.0.0/26', podHolder('a', 'gone')));
    const file = path.join(folder, 'report');
    await run('ipam', 'check', '-o', file);
    expect(exitCode).toBe(1);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      found: { leaks: [{ address: '10.0.0.0' }] },
    });
  });

  it('release needs an address or a report', async () => {
    await expect(run('ipam', 'release')).rejects.toThrow('use --ip ADDRESS or --from-report FILE');
  });
});

describe('calictl version --poll', () => {
  it.each(['0s', '', '5', '-1s', '600h', '25d'])('refuses the interval %j', async (interval) => {
    await expect(run('version', '--poll', interval, '--client')).rejects.toThrow('must be a duration');
  });
});

describe('calictl bgp', () => {
  it.each(['x', '10.0.0.0/33', ''])(
    'routes refuses the prefix %j without asking the agent',
    async (prefix) => {
      await expect(run('bgp', 'routes', prefix)).rejects.toThrow(`invalid prefix "${prefix}"`);
    },
  );

  it.each(['%eth0', 'node1', '10.0.0.0/24'])('neighbor refuses %j', async (address) => {
    await expect(run('bgp', 'neighbor', address)).rejects.toThrow(`invalid IP address "${address}"`);
  });
});

describe('commands for resources', () => {
  it.each([
    [['get'], 'get: name a kind'],
    [['get', 'ippool', '-f', '/x'], 'get: name either a kind and its resources, or files with -f'],
    [['delete', 'ippool', 'a', '-f', '/x'], 'delete: name either a kind and its resources, or files with -f'],
    [['delete', 'ippool'], 'delete: name a kind and its resources, or a file with -f'],
    [['delete', 'ippool', ''], 'resource name may not be empty'],
    [['get', 'ippool', ''], 'resource name may not be empty'],
    [['apply'], 'apply: name a file or a folder with -f'],
    [['get', 'frob'], "resource type 'frob' is not supported"],
  ])('%j is refused', async (args, sentence) => {
    await expect(run(...args)).rejects.toThrow(sentence);
  });

  it('a failure sets exit code 1 and does not hide what succeeded', async () => {
    for (const name of ['a', 'b']) await store.create(ipPoolKind, ipPool('10.0.0.0/24', {}, name));
    await run('delete', 'ippool', 'a', 'none', 'b');
    expect([exitCode, store.all(ipPoolKind)]).toEqual([1, []]);
    expect(complaints).toEqual([
      "Failed to delete 'IPPool' resource none: resource does not exist: IPPool(none)",
    ]);
    expect(printed).toEqual(["Partial success: deleted 2 out of 3 'IPPool' resources"]);
  });

  it('delete ignores missing resources with --skip-not-exists', async () => {
    await run('delete', 'ippool', 'none', '--skip-not-exists');
    expect([exitCode, complaints]).toEqual([0, []]);
    expect(printed).toEqual(["Successfully deleted 0 'IPPool' resource(s), skipped 1 that do not exist"]);
  });
});
