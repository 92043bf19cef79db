/** The checksum offload of a tunnel device, as ethtool shows it. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linuxKernel } from '../../kernel/linux.ts';
import type { Kernel } from '../../kernel/port.ts';
import { silentLog } from '../../lib/log.ts';
import { hasProgram } from '../helpers/lab.ts';
import { NetworkNamespace } from '../helpers/network-namespace.ts';

describe.skipIf(!hasProgram('ethtool'))('the checksum offload of a device (skipped without ethtool)', () => {
  let netns: NetworkNamespace;
  let kernel: Kernel;
  beforeEach(() => {
    netns = new NetworkNamespace();
    kernel = linuxKernel(silentLog, { netns: netns.path });
  });
  afterEach(() => {
    kernel.close();
    netns.remove();
  });

  const ethtool = (...args: string[]) =>
    execFileSync('ip', ['netns', 'exec', netns.name, 'ethtool', ...args], { encoding: 'utf8' });
  const features = () => ethtool('-k', 'vxlan.cali');
  const create = () => netns.ip('link add vxlan.cali type vxlan id 4096 dstport 4789');

  it('It is switched off as ethtool switches it off.', async () => {
    create();
    expect(features()).toContain('tx-checksum-ip-generic: on');
    expect(await kernel.switchOffloadOff('vxlan.cali')).toBe(undefined);
    const ours = features();
    expect(ours).toContain('tx-checksum-ip-generic: off');
    netns.ip('link del vxlan.cali');
    create();
    ethtool('-K', 'vxlan.cali', 'tx-checksum-ip-generic', 'off');
    expect(features()).toBe(ours);
  });

  it('A device that does not exist, or whose name is none, is an error that names it.', async () => {
    const failure = 'this kernel needs checksum offload off, and it cannot be disabled on';
    expect(await kernel.switchOffloadOff('missing')).toBe(`${failure} missing: No such device (ENODEV)`);
    expect(await kernel.switchOffloadOff('x'.repeat(16))).toBe(
      `${failure} ${'x'.repeat(16)}: its name is too long`,
    );
  });
});
