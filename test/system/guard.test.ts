/** The guard in table `inet cali`: loaded before the first pod, kept when the agent ends, restored after changes. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabPod } from '../../lab/lab.ts';
import { hasProgram, root, TestLab, until } from '../helpers/lab.ts';
import { buildSender, numbered, udp } from '../helpers/packets.ts';
import { Probe } from '../helpers/probe.ts';

const PATIENCE_MS = 60_000;

describe('the guard’s nftables table', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.start(['--nodes', '2', '--pods', '1']);
  });
  afterAll(() => lab?.stop());

  const table = () => lab.exec('node1', 'nft', '-s', 'list', 'table', 'inet', 'cali').stdout;

  it('comes back when another program deletes or weakens it', async () => {
    const before = table();
    for (const damage of [
      'delete table inet cali',
      'insert rule inet cali guard-pods accept',
      'delete element inet cali hosts4 { 172.18.0.12 }',
    ]) {
      lab.sh('node1', `nft ${damage}`);
      expect(table()).not.toBe(before);
      await until(`"${damage}" is repaired`, PATIENCE_MS, () => table() === before);
    }
  });

  it('is changed through libnftables, in the agent’s process', () => {
    const log = lab.sh('lab', 'cat /run/cali-lab/log/node1.log');
    expect(log).toContain('nftables is changed through libnftables, in this process');
  });

  it('is reported when another program changes it repeatedly, and is restored each time', async () => {
    const before = table();
    const reports = () =>
      lab.status('node1').dataplane.problems.filter((one) => one.includes('table inet cali'));
    for (let round = 0; round < 4; round++) {
      lab.sh('node1', 'nft insert rule inet cali guard-pods accept');
      await until('the table is restored', PATIENCE_MS, () => table() === before);
    }
    await until('the status reports the table', PATIENCE_MS, () => reports().length === 1);
    expect(reports()[0]).toMatch(/reverted repeatedly.*Look for another program/);
  });

  it('does not change while the agent ends, by SIGTERM or SIGKILL, and starts again', async () => {
    const before = table();
    for (const end of ['node stop', 'node kill'] as const) {
      await lab.ask({ do: end, name: 'node1' });
      expect(table()).toBe(before);
      await lab.ask({ do: 'node start', name: 'node1' });
      expect(table()).toBe(before);
    }
  });

  it.skipIf(!hasProgram('gcc'))(
    'lets a pod send from its allowedSourcePrefixes while workloadSourceSpoofing is Any (skipped without gcc)',
    async () => {
      const annotations = { 'cni.projectcalico.org/allowedSourcePrefixes': '["10.7.0.0/16", "fd07::/64"]' };
      await lab.ask({ do: 'pod add', node: 'node1', name: 'spoofer', annotations });
      const sender = buildSender();
      const { pods } = (await lab.ask({ do: 'show' })) as { pods: LabPod[] };
      const target = pods.find(({ name }) => name === 'node2-a')!.addresses;
      const own = pods.find(({ name }) => name === 'spoofer')!.addresses;
      const probe = new Probe(lab, 'node2');
      const sources = ['10.7.9.9', 'fd07::9', '10.8.9.9', 'fd08::9'];
      const arrived = async () => {
        const tags = [1, 2, 3, 4, 5];
        probe.watch(tags.map((tag) => ({ tag, point: 'early' as const })));
        const hex = [...sources, own[0]!].map((from, i) =>
          numbered(udp({ from, to: target[from.includes(':') ? 1 : 0]! }, 5000), i + 1),
        );
        expect(lab.exec('spoofer', sender, 'eth0', ...hex).stderr).toBe('');
        const counts = await probe.counts(5);
        return sources.map((_, i) => counts.get(i + 1) ?? 0);
      };
      expect(await arrived()).toEqual([0, 0, 0, 0]);
      lab.apply('FelixConfiguration', 'default', { workloadSourceSpoofing: 'Any' });
      await until(
        'packets from both prefixes arrive',
        PATIENCE_MS,
        async () => String(await arrived()) === '1,1,0,0',
      );
      lab.apply('FelixConfiguration', 'default', { workloadSourceSpoofing: 'Disabled' });
      await until('no packet arrives', PATIENCE_MS, async () => String(await arrived()) === '0,0,0,0');
      await lab.ask({ do: 'pod delete', name: 'spoofer' });
    },
  );

  it('is removed by --cleanup', async () => {
    await lab.ask({ do: 'node stop', name: 'node1' });
    lab.sh('node1', 'nft add table inet foreign');
    const program = path.join(root, 'dist', 'cali-node.js');
    expect(lab.exec('node1', process.execPath, program, '--cleanup').code).toBe(0);
    expect(lab.sh('node1', 'nft list tables')).toBe('table inet foreign\n');
  });
});
