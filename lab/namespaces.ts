/**
 * Network namespaces of the lab: one per node and per pod, and the lab's own. That one has a bridge per subnet, to
 * which the nodes connect, and routes between the subnets; it has no routes to pods.
 */

import { writeFile } from 'node:fs/promises';
import { run } from '../lib/exec.ts';

export const LAB_IPV4 = '172.18.0.1';
/** Time limit of a command; a busy machine may create many namespaces at once. */
const TIMEOUT_MS = 60_000;

export interface NodeAddresses {
  readonly ipv4: string;
  readonly ipv6: string | undefined;
}

/** A LAN of nodes, with the router's addresses in it. */
export interface Subnet extends NodeAddresses {
  readonly bridge: string;
}

/** Returns the n-th subnet, counted from 0. */
export function subnet(index: number, hasIpv6: boolean): Subnet {
  return {
    bridge: `lab${index}`,
    ipv4: `172.${18 + index}.0.1`,
    ipv6: hasIpv6 ? `fd00:172:${18 + index}::1` : undefined,
  };
}

/** Returns the addresses of the n-th node, counted from 1, in a subnet. */
export function nodeAddresses(index: number, { ipv4, ipv6 }: Subnet): NodeAddresses {
  return {
    ipv4: ipv4.replace(/1$/, String(10 + index)),
    ipv6: ipv6?.replace(/1$/, (0x10 + index).toString(16)),
  };
}

export function netnsPath(name: string): string {
  return `/run/netns/${name}`;
}

/** Creates a private /run, loopback, the bridges, and routing between them. Call once, inside fresh namespaces. */
export async function createSubnets(subnets: readonly Subnet[]): Promise<void> {
  await must('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
  await must(
    'ip',
    ['-batch', '-'],
    [
      'link set lo up',
      ...subnets.flatMap(({ bridge, ipv4, ipv6 }, index) => [
        // A fixed MAC address: otherwise the bridge uses a port's, and changes it when that port's node is deleted.
        `link add ${bridge} address 02:00:ac:12:00:0${index + 1} type bridge`,
        `addr add ${ipv4}/24 dev ${bridge}`,
        ...(ipv6 ? [`addr add ${ipv6}/64 dev ${bridge} nodad`] : []),
        `link set ${bridge} up`,
      ]),
    ],
  );
  await writeFile('/proc/sys/net/ipv4/ip_forward', '1');
  if (subnets[0]?.ipv6) await writeFile('/proc/sys/net/ipv6/conf/all/forwarding', '1');
}

/** Returns the name of the router's interface to a node: at most 15 octets, and unique by the node's number. */
export function portName(node: string, index: number): string {
  const port = `p-${node}`;
  return port.length <= 15 ? port : `p.${index}`;
}

/** Creates a node's namespace, with eth0 on the subnet's bridge, addresses and default routes. */
export async function createNodeNamespace(
  name: string,
  { ipv4, ipv6 }: NodeAddresses,
  { bridge, ...router }: Subnet,
  port: string,
): Promise<void> {
  await must('ip', ['netns', 'add', name]);
  await must(
    'ip',
    ['-batch', '-'],
    [
      `link add ${port} type veth peer name eth0 netns ${netnsPath(name)}`,
      `link set ${port} master ${bridge} up`,
    ],
  );
  const inside = [
    'link set lo up',
    `addr add ${ipv4}/24 dev eth0`,
    ...(ipv6 ? [`addr add ${ipv6}/64 dev eth0 nodad`] : []),
    'link set eth0 up',
    `route add default via ${router.ipv4}`,
    ...(router.ipv6 ? [`route add default via ${router.ipv6}`] : []),
  ];
  await must('ip', ['-n', name, '-batch', '-'], inside);
}

export async function createPodNamespace(name: string): Promise<string> {
  await must('ip', ['netns', 'add', name]);
  return netnsPath(name);
}

export async function deleteNamespace(name: string): Promise<void> {
  await run('ip', ['netns', 'del', name]);
}

async function must(command: string, args: readonly string[], lines?: readonly string[]): Promise<void> {
  const result = await run(command, args, {
    timeoutMs: TIMEOUT_MS,
    ...(lines === undefined ? {} : { lines }),
  });
  if (!result.ok) throw new Error(`${command} ${args.join(' ')}: ${result.stderr || `exit ${result.code}`}`);
}

/** Whether this kernel supports IPIP tunnels. The test device vanishes with the namespace. */
export async function hasIpip(): Promise<boolean> {
  const { ok, stderr } = await run('ip', ['link', 'add', 'name', 'tunl0', 'type', 'ipip']);
  return ok || stderr.includes('File exists');
}
