/**
 * Installs the plugin on a node: first the shim in the runtime's plugin directory, then the network configuration,
 * which makes the kubelet report the network as ready. Each file is written under a temporary name and renamed. So a
 * runtime never reads half a file, and a running program can be replaced (Calico C-050, C-052).
 */

import { existsSync } from 'node:fs';
import { chmod, lstat, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createFolder } from '../lib/folder.ts';

export interface InstallOptions {
  /** The shim to copy. */
  readonly shim: string;
  /** Cali's `loopback` (cni/loopback.c), for nodes without one. */
  readonly loopback: string;
  /** The node's /opt/cni/bin, as mounted in this container. */
  readonly binDirectory: string;
  /** The node's /etc/cni/net.d, as mounted in this container. */
  readonly netDirectory: string;
  /** File name of the configuration. Runtimes use the first by name. */
  readonly configurationName: string;
  /** MTU for pods; 0: the agent determines it. */
  readonly mtu: number;
}

/** Plugins of the CNI project that are chained after ours if the node has them. */
const chained = [
  { type: 'portmap', snat: true, capabilities: { portMappings: true } },
  { type: 'bandwidth', capabilities: { bandwidth: true } },
];

/** Returns a line for each step: what was done, or why not. */
export async function installCni(options: InstallOptions): Promise<string[]> {
  const { shim, loopback, binDirectory, netDirectory, configurationName, mtu } = options;
  await createFolder(binDirectory);
  await createFolder(netDirectory);
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

/** Marks our file; no other contains it. */
const LOOPBACK_MARK = 'cali-loopback-plugin';

/** Installs `loopback`, which runtimes run for each pod. Another program's file is kept. */
async function installLoopback(ours: string, target: string): Promise<string[]> {
  const present = await readFile(target).catch(() => undefined);
  if (present && !present.includes(LOOPBACK_MARK)) return [];
  const program = await readFile(ours).catch(() => undefined);
  if (!program)
    return present
      ? []
      : [
          `loopback is not in ${path.dirname(target)}: containerd and CRI-O cannot start pods without it. Install the CNI project's plugins (Debian package containernetworking-plugins).`,
        ];
  return [
    ...(present
      ? []
      : ['this node lacks the loopback plugin that runtimes run for each pod: Cali installs its own']),
    await replaceFile(target, program, 0o755),
  ];
}

async function replaceFile(file: string, content: Buffer, mode: number): Promise<string> {
  // Replace a link instead of following it: its target is not ours.
  const present = await lstat(file).catch(() => undefined);
  const isAlike = present?.isFile() && (present.mode & 0o777) === mode;
  if (isAlike && (await readFile(file)).equals(content)) return `${file} is up to date`;
  const temporary = `${file}.${process.pid}.new`;
  try {
    await rm(temporary, { force: true });
    await writeFile(temporary, content, { flag: 'wx', mode: 0o600 });
    await chmod(temporary, mode);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  return `${file} written`;
}
