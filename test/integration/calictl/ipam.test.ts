import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeKind, podKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { Ipam } from '../../../ipam/ipam.ts';
import { systemTime } from '../../../lib/time.ts';
import { CalictlWorld } from '../../helpers/calictl.ts';

let world: CalictlWorld;
const addresses = new Map<string, string>();
beforeAll(async () => {
  world = await CalictlWorld.start();
  const { client } = world;
  await client.create(nodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, spec: {} });
  const pool = { apiVersion: 'projectcalico.org/v3', kind: 'IPPool', metadata: { name: 'p' } };
  await client.create(ipPoolKind, { ...pool, spec: { cidr: '10.0.0.0/24', blockSize: 28 } });
  // Each allocation has a current view of the datastore. Pods a and b do not exist, c does.
  for (const pod of ['a', 'b', 'c']) {
    const [pools, blocks] = await Promise.all([client.list(ipPoolKind), client.list(ipamBlockKind)]);
    const view = {
      pools: () => pools,
      blocks: () => blocks,
      configuration: () => undefined,
      reservations: () => [],
      nodeLabels: () => ({}),
    };
    const ipam = new Ipam({ node: 'n1' }, { store: client, view, clock: systemTime });
    const [address] = await ipam.assign({
      handleId: pod,
      families: [4],
      attributes: { node: 'n1', namespace: 'default', pod },
      namespaceLabels: {},
    });
    addresses.set(pod, address!.split('/')[0]!);
  }
  const podIP = addresses.get('c')!;
  await client.create(podKind, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'c',
      namespace: 'default',
      annotations: { 'cni.projectcalico.org/podIPs': `${podIP}/32` },
    },
    spec: { nodeName: 'n1' },
    status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }] },
  });
});
afterAll(() => world.stop());

describe('calictl ipam', () => {
  it('shows who uses an address and how full the pools are', async () => {
    expect((await world.calictl('ipam', 'show')).out).toMatch(
      /\| IP Pool +\| 10\.0\.0\.0\/24 \| 256 +\| 3 \(1%\) +\| 0 \(0%\) +\| 253 \(99%\) +\|/,
    );
    expect((await world.calictl('ipam', 'show', '--show-blocks')).out).toMatch(
      /\| Block +\| 10\.0\.0\.\d+\/28/,
    );
    const { out } = await world.calictl('ipam', 'show', '--ip', addresses.get('a')!);
    expect(out).toMatch(/^IP 10\.0\.0\.\d+ is in use\nHandle ID: a\nAttributes:\n.*pod: a\n/s);
    expect((await world.calictl('ipam', 'show', '--ip', '10.0.0.250')).out).toBe(
      '10.0.0.250 is not assigned\n',
    );
    expect(await world.calictl('ipam', 'show', '--ip', '10.0.0.300')).toMatchObject({
      code: 1,
      err: expect.stringContaining('invalid IP address'),
    });
  });

  it('check refuses an empty file name, so that a report is never skipped silently', async () => {
    expect(await world.calictl('ipam', 'check', '-o', '')).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('is empty: name the file for the report'),
    });
  });

  it('release --from-report releases the addresses that all reports name', async () => {
    const [first, second] = ['first.json', 'second.json'].map((name) => path.join(world.folder, name));
    const check = await world.calictl('ipam', 'check', '--show-problem-ips', '-o', first!);
    expect(check.code).toBe(1);
    for (const pod of ['a', 'b']) expect(check.out).toContain(`${addresses.get(pod)} `);
    expect(check.out).toMatch(/^1 block with 3 addresses in use; 3 handles; 1 pod on 1 node\.\n/);
    expect(check.out).toMatch(/Check complete; found 2 problems\.\n$/);
    const report = JSON.parse(readFileSync(first!, 'utf8'));
    report.found.leaks = report.found.leaks.filter(({ handleId }: { handleId: string }) => handleId === 'a');
    world.file('second.json', JSON.stringify(report));
    const released = await world.calictl(
      'ipam',
      'release',
      '--from-report',
      first!,
      '--from-report',
      second!,
    );
    expect(released).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^Released 1 address, 1 handle, 0 affinities, 0 blocks; 0 errors\.\n$/),
    });
    expect((await world.calictl('ipam', 'check')).out).toMatch(/found 1 problems\./);
    world.file('second.json', JSON.stringify({ ...report, clusterGUID: 'other' }));
    expect((await world.calictl('ipam', 'release', '--from-report', second!)).err).toContain(
      'from another cluster',
    );
    world.file('second.json', JSON.stringify({ ...report, found: { leaks: [] } }));
    expect((await world.calictl('ipam', 'release', '--from-report', second!)).err).toContain(
      'is not a report of `calictl ipam check -o FILE` (found.spareHandles)',
    );
  });

  it('release --ip releases an unused address, and a used one only with --force', async () => {
    const release = (pod: string, ...more: string[]) =>
      world.calictl('ipam', 'release', '--ip', addresses.get(pod)!, ...more);
    expect((await release('b')).out).toBe(`Successfully released IP address ${addresses.get('b')}\n`);
    expect(await release('b')).toMatchObject({ code: 1, err: expect.stringContaining('is not assigned') });
    expect((await release('c')).err).toContain('is used by pod default/c');
    expect((await release('c', '--force')).code).toBe(0);
  });

  it('configure sets what its options name, in the spellings of calicoctl', async () => {
    const { out } = await world.calictl(
      ...['ipam', 'configure', '--strictaffinity=TRUE', '--max-blocks-per-host', '5'],
      ...['--ip-cooldown-seconds', '-1'],
    );
    expect(out).toBe('Successfully set StrictAffinity to: true\nSuccessfully set MaxBlocksPerHost to: 5\n');
    expect((await world.calictl('get', 'ipamconfig', '-o', 'wide')).out).toBe(
      'NAME      STRICTAFFINITY   AUTOALLOCATEBLOCKS   MAXBLOCKSPERHOST\ndefault   true             true                 5\n',
    );
    expect((await world.calictl('ipam', 'show', '--show-configuration')).out).toMatch(
      /\| StrictAffinity +\| true/,
    );
  });
});
