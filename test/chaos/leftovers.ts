/** Finds links, routes, rules, namespaces, endpoints and processes of a lab that nothing explains. */

import { formatCidr, hostCidr, mustCidr } from '../../lib/cidr.ts';
import { isOwnInterface, podInterfaceName } from '../../model/endpoint.ts';
import { DEFAULT_PROTOCOLS } from '../../model/route-protocols.ts';
import type { TestLab } from '../helpers/lab.ts';

/** The facts that explain objects in the kernel. */
export interface Explained {
  readonly nodes: readonly string[];
  /** Pods with their node. */
  readonly pods: ReadonlyMap<string, string>;
  /** Prefixes of blocks and of single addresses in use, canonical. */
  readonly prefixes: ReadonlySet<string>;
}

/** Returns the blocks and addresses in the datastore. Throws if calictl fails. */
export function prefixesOf(lab: TestLab): Set<string> {
  const { items } = JSON.parse(lab.sh('lab', 'calictl get ipamblocks -o json')) as {
    items: { spec: { cidr: string; allocations: (number | null)[] } }[];
  };
  return new Set(
    items.flatMap(({ spec: { cidr, allocations } }) => {
      const network = mustCidr(cidr);
      const used = allocations.flatMap((index, ordinal) => (index === null ? [] : [BigInt(ordinal)]));
      const addresses = used.map((ordinal) => ({
        ...network,
        value: network.value + ordinal,
        length: network.family === 4 ? 32 : 128,
      }));
      return [network, ...addresses].map(formatCidr);
    }),
  );
}

/** Returns a sentence for each object that nothing explains; empty if there is none. */
export function leftovers(lab: TestLab, explained: Explained): string[] {
  return [
    ...explained.nodes.flatMap((node) => ofNode(lab, node, explained)),
    ...namespaces(lab, explained),
    ...processes(lab, explained),
  ];
}

function ofNode(lab: TestLab, node: string, { pods, prefixes }: Explained): string[] {
  const own = [...pods].filter(([, on]) => on === node).map(([pod]) => pod);
  const wanted = new Set(own.map((pod) => podInterfaceName('default', pod)));
  const links = json<{ ifname: string }>(lab, node, 'ip -j link show').map(({ ifname }) => ifname);
  const routes = ['-4', '-6'].flatMap((family) =>
    json<{ dst: string; protocol?: string; dev?: string }>(lab, node, `ip -N -j ${family} route show`),
  );
  const ours = new Set<string | undefined>(Object.values(DEFAULT_PROTOCOLS).map(String));
  const rules = ['-4', '-6'].flatMap((family) =>
    json<{ priority: number; table: string }>(lab, node, `ip -j ${family} rule show`),
  );
  const tables = lab.sh(node, 'nft list tables').trim().split('\n').filter(Boolean);
  const files = lab.sh(node, 'ls "$CALI_RUN_DIR/endpoints"').trim().split('\n').filter(Boolean);
  const neighbours = json<{ dst: string; dev: string }>(lab, node, 'ip -j neigh show nud permanent');
  const isPrefix = (dst: string) =>
    prefixes.has(formatCidr(mustCidr(dst.includes('/') ? dst : hostCidr(dst))));
  return [
    ...links.filter((link) => isOwnInterface(link) && !wanted.has(link)).map((link) => `link ${link}`),
    ...[...wanted].filter((link) => !links.includes(link)).map((link) => `no link ${link}`),
    ...routes
      .filter(({ protocol, dst }) => ours.has(protocol) && !isPrefix(dst))
      .map(({ dst, dev }) => `route ${dst} dev ${dev ?? '-'}`),
    ...rules
      .filter(({ priority }) => ![0, 32766, 32767].includes(priority))
      .map(({ priority, table }) => `rule ${priority} ${table}`),
    ...tables.filter((table) => table !== 'table inet cali').map((table) => `nftables ${table}`),
    ...files
      .filter((file) => !own.some((pod) => file === `lab-${pod}.eth0.json`))
      .map((file) => `endpoint file ${file}`),
    ...neighbours
      .filter(({ dev, dst }) => isOwnInterface(dev) && !wanted.has(dev) && dst !== '')
      .map(({ dst, dev }) => `neighbour ${dst} dev ${dev}`),
  ].map((what) => `${node}: ${what}`);
}

function namespaces(lab: TestLab, { nodes, pods }: Explained): string[] {
  const wanted = new Set([...nodes, ...[...pods.keys()].map((pod) => `pod_${pod}`)]);
  const found = lab.sh('lab', 'ls /run/netns').trim().split('\n').filter(Boolean);
  return [
    ...found.filter((name) => !wanted.has(name)).map((name) => `lab: namespace ${name}`),
    ...[...wanted].filter((name) => !found.includes(name)).map((name) => `lab: no namespace ${name}`),
  ];
}

/** Permanent processes of one agent, by the start of their command line, and their number. */
const perAgent: readonly (readonly [RegExp, number])[] = [
  [/^ip -o monitor /, 1],
  [/^ip -force -batch -/, 1],
  // Waits for the next pod, to enter its namespace.
  [/^sh -c read -r netns/, 1],
];

function processes(lab: TestLab, { nodes }: Explained): string[] {
  const rows = lab
    .sh('lab', 'ps -eo pid=,ppid=,stat=,args=')
    .trim()
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line)!)
    .map(([, pid, ppid, state, args]) => ({ pid: pid!, ppid: ppid!, state: state!, args: args! }));
  const agents = rows.filter(({ args, ppid }) => args.includes('cali-node.js') && ppid === '1');
  const programs = rows.filter(({ args, ppid }) => /cali-(api|controllers)\.js/.test(args) && ppid === '1');
  // Processes that entered from outside, such as this very `ps`, have no parent here.
  const others = rows.filter(
    ({ pid, ppid, args }) => pid !== '1' && ppid !== '0' && !args.startsWith('ps -eo pid='),
  );
  const faults =
    agents.length === nodes.length ? [] : [`lab: ${agents.length} agents on ${nodes.length} nodes`];
  for (const agent of agents) {
    const children = others.filter(({ ppid }) => ppid === agent.pid);
    for (const [pattern, limit] of perAgent) {
      const count = children.filter(({ args }) => pattern.test(args)).length;
      if (count > limit) faults.push(`lab: ${count} processes ${pattern.source} of agent ${agent.pid}`);
    }
  }
  const parents = new Set(agents.map(({ pid }) => pid));
  const known = new Set([...agents, ...programs]);
  const strays = others
    .filter((row) => !known.has(row))
    .filter(({ ppid, args }) => !(parents.has(ppid) && perAgent.some(([pattern]) => pattern.test(args))));
  return [
    ...faults,
    ...strays.map(({ pid, state, args }) => `lab: process ${pid} ${state} ${args.slice(0, 100)}`),
  ];
}

function json<T>(lab: TestLab, place: string, line: string): T[] {
  const text = lab.sh(place, line).trim();
  return text === '' ? [] : (JSON.parse(text) as T[]).filter((one) => Object.keys(one as object).length > 0);
}
