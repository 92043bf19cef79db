/**
 * Puts the plugin on a node: the shim into the runtime's folder of programs, then the network configuration, which is
 * what makes the kubelet say that the network is ready. Each file is written beside its place and renamed, so that a
 * runtime never sees half of one, and a program that is being executed is replaced (Calico C-050, C-052).
 */

import { existsSync } from 'node:fs';
import { chmod, lstat, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

export interface InstallOptions {
  /** The shim to copy. */
  readonly shim: string;
  /** Cali's `loopback` (cni/loopback.c), for nodes without one. */
  readonly loopback: string;
  /** The node's /opt/cni/bin and /etc/cni/net.d, as they are seen from here. */
  readonly binDirectory: string;
  readonly netDirectory: string;
  /** File name of the configuration; runtimes take the first by name. */
  readonly configurationName: string;
  /** MTU for pods; 0: what the agent finds. */
  readonly mtu: number;
}

/** Plugins of the CNI project that are chained behind ours where the node has them. */
const chained = [
  { type: 'portmap', snat: true, capabilities: { portMappings: true } },
  { type: 'bandwidth', capabilities: { bandwidth: true } },
];

/** Returns a line for each thing that was done, or left. */
export async function installCni(options: InstallOptions): Promise<string[]> {
  const { shim, loopback, binDirectory, netDirectory, configurationName, mtu } = options;
  await mkdir(binDirectory, { recursive: true });
  await mkdir(netDirectory, { recursive: true });
  const lines = [await replaceFile(path.join(binDirectory, 'cali'), await readFile(shim), 0o755)];
  lines.push(...(await installLoopback(loopback, path.join(binDirectory, 'loopback'))));
  const present = chained.filter(({ type }) => existsSync(path.join(binDirectory, type)));
  for (const { type } of chained)
    if (!present.some((plugin) => plugin.type === type))
      lines.push(
        `${type} is not in ${binDirectory}: ${type === 'portmap' ? 'hostPort' : 'bandwidth annotations'} will not work`,
      );
  const configuration = {
    name: 'k8s-pod-network',
    cniVersion: '1.0.0',
    plugins: [{ type: 'cali', ...(mtu > 0 ? { mtu } : {}) }, ...present],
  };
  const text = Buffer.from(`${JSON.stringify(configuration, undefined, 2)}\n`);
  lines.push(await replaceFile(path.join(netDirectory, configurationName), text, 0o600));
  return lines;
}

/** What only our file contains. */
const LOOPBACK_MARK = 'cali-loopback-plugin';

/** Runtimes run `loopback` for each pod. Where the node has one of its own, that stays. */
async function installLoopback(ours: string, target: string): Promise<string[]> {
  const present = await readFile(target).catch(() => undefined);
  if (present && !present.includes(LOOPBACK_MARK)) return [];
  const program = await readFile(ours).catch(() => undefined);
  if (!program)
    return present
      ? []
      : [
          `loopback is not in ${path.dirname(target)}: containerd and CRI-O start no pod without it. Install the CNI project's plugins (Debian package containernetworking-plugins).`,
        ];
  return [
    ...(present
      ? []
      : ['this node has no loopback plugin, which runtimes run for each pod: Cali installs its own']),
    await replaceFile(target, program, 0o755),
  ];
}

async function replaceFile(file: string, content: Buffer, mode: number): Promise<string> {
  // A link is replaced, not followed: what it leads to is not ours.
  const isFile = (await lstat(file).catch(() => undefined))?.isFile() ?? false;
  if (isFile && (await readFile(file)).equals(content)) return `${file} is up to date`;
  const beside = `${file}.${process.pid}.new`;
  try {
    await rm(beside, { force: true });
    await writeFile(beside, content, { flag: 'wx', mode: 0o600 });
    await chmod(beside, mode);
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  return `${file} written`;
}
