/** Switches offloads of devices with `ethtool`, which only kernels before 5.7 need. */
import { run } from '../lib/exec.ts';

/** Switches the checksum offload of a device off. Returns a sentence when that fails. */
export async function switchOffloadOff(device: string): Promise<string | undefined> {
  const result = await run('ethtool', ['-K', device, 'tx-checksum-ip-generic', 'off']);
  return result.ok
    ? undefined
    : `this kernel needs checksum offload off, and it cannot be disabled on ${device}: ${result.stderr || `ethtool exits with ${result.code}`}`;
}
