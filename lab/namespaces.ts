/** Network namespaces of the lab: a bridge that the nodes are plugged into, one namespace per node and pod. */

import { runBatch } from '../felix/dataplane/ip-batch.ts';
import { run } from '../lib/exec.ts';

export const BRIDGE = 'lab0';
export const LAB_IPV4 = '172.18.0.1';
export const LAB_IPV6 = 'fd00:172:18::1';

export interface NodeAddresses {
  readonly ipv4: string;
  readonly ipv6: string | undefined;
}

/** Addresses of the n-th node, counted from 1. */
export function nodeAddresses(index: number, hasIpv6: boolean): NodeAddresses {
  return {
    ipv4: `172.18.0.${10 + index}`,
    ipv6: hasIpv6 ? `fd00:172:18::${(0x10 + index).toString(16)}` : undefined,
  };
}

export function netnsPath(name: string): string {
  return `/run/netns/${name}`;
}

/** A private /run, loopback, and the bridge. Call once, inside fresh namespaces. */
export async function createBridge(hasIpv6: boolean): Promise<void> {
  await must('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
  await mustBatch([
    'link set lo up',
    // A MAC of its own: otherwise it takes that of a port, and another one when the port's node is deleted.
    `link add ${BRIDGE} address 02:00:ac:12:00:01 type bridge`,
    `addr add ${LAB_IPV4}/24 dev ${BRIDGE}`,
    ...(hasIpv6 ? [`addr add ${LAB_IPV6}/64 dev ${BRIDGE} nodad`] : []),
    `link set ${BRIDGE} up`,
  ]);
}

/** A node: its namespace, eth0 on the bridge, addresses, default routes. */
export async function createNodeNamespace(name: string, { ipv4, ipv6 }: NodeAddresses): Promise<void> {
  await must('ip', ['netns', 'add', name]);
  const port = `p-${name}`.slice(0, 15);
  await mustBatch([
    `link add ${port} type veth peer name eth0 netns ${netnsPath(name)}`,
    `link set ${port} master ${BRIDGE} up`,
  ]);
  const inside = [
    'link set lo up',
    `addr add ${ipv4}/24 dev eth0`,
    ...(ipv6 ? [`addr add ${ipv6}/64 dev eth0 nodad`] : []),
    'link set eth0 up',
    `route add default via ${LAB_IPV4}`,
    ...(ipv6 ? [`route add default via ${LAB_IPV6}`] : []),
  ];
  await must('ip', ['-n', name, '-batch', '-'], `${inside.join('\n')}\n`);
}

export async function createPodNamespace(name: string): Promise<string> {
  await must('ip', ['netns', 'add', name]);
  return netnsPath(name);
}

export async function deleteNamespace(name: string): Promise<void> {
  await run('ip', ['netns', 'del', name]);
}

async function must(command: string, args: readonly string[], input?: string): Promise<void> {
  const result = await run(command, args, input === undefined ? {} : { input });
  if (!result.ok) throw new Error(`${command} ${args.join(' ')}: ${result.stderr || `exit ${result.code}`}`);
}

async function mustBatch(commands: readonly string[]): Promise<void> {
  const [error] = await runBatch(commands);
  if (error) throw new Error(`ip ${error.command}: ${error.message}`);
}
