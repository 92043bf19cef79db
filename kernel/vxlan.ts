/** Reads and changes VXLAN devices with `ip`, `bridge` and `ethtool`. */
import { run } from '../lib/exec.ts';
import type { VxlanState } from './port.ts';

interface VxlanJson {
  ifname: string;
  linkinfo?: { info_data?: { id?: number; port?: number; local?: string; local6?: string } };
}

interface ForwardingJson {
  mac: string;
  dst?: string;
  state?: string;
}

/** Returns the VXLAN devices by name. Throws when the dump fails. */
export async function readVxlans(): Promise<Map<string, VxlanState>> {
  const stdout = await read('ip', ['-d', '-j', 'link', 'show', 'type', 'vxlan']);
  return new Map(
    (JSON.parse(stdout || '[]') as VxlanJson[]).map(({ ifname, linkinfo }) => {
      const { id = 0, port = 0, local, local6 } = linkinfo?.info_data ?? {};
      return [ifname, { vni: id, port, local: local ?? local6 ?? '' }];
    }),
  );
}

/** Returns the permanent forwarding entries of a device: remote nodes by MAC. Throws when the dump fails. */
export async function readForwarding(name: string): Promise<Map<string, string>> {
  const stdout = await read('bridge', ['-j', 'fdb', 'show', 'dev', name]);
  const rows = JSON.parse(stdout || '[]') as ForwardingJson[];
  return new Map(rows.flatMap(({ mac, dst, state }) => (dst && state === 'permanent' ? [[mac, dst]] : [])));
}

/** Throws when a dump fails: treating it as empty would create its objects again. */
async function read(command: string, args: readonly string[]): Promise<string> {
  const { ok, code, stdout, stderr } = await run(command, args);
  if (!ok) throw new Error(`${command} ${args.join(' ')}: ${stderr || `exit ${code}`}`);
  return stdout;
}

/** Switches the checksum offload of a device off. Returns a sentence when that fails. */
export async function switchOffloadOff(device: string): Promise<string | undefined> {
  const result = await run('ethtool', ['-K', device, 'tx-checksum-ip-generic', 'off']);
  return result.ok
    ? undefined
    : `this kernel needs checksum offload off, and it cannot be disabled on ${device}: ${result.stderr || `ethtool exits with ${result.code}`}`;
}
