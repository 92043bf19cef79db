/** Which addresses a pod probes: those of the families that both sides have. */
import { familyOf } from '../lib/cidr.ts';
import type { NodeAddresses } from './namespaces.ts';
import type { Probe } from './prober.ts';

/** A pod or node with its addresses. */
export interface Endpoint {
  readonly name: string;
  readonly addresses: readonly string[];
}

/** Returns one probe for each address of `to` in a family of `from`; none from an endpoint to itself. */
export function probesBetween(from: Endpoint, to: Endpoint): Probe[] {
  if (from.name === to.name) return [];
  const families = new Set(from.addresses.map(familyOf));
  return to.addresses
    .filter((address) => families.has(familyOf(address)))
    .map((address) => ({ from: from.name, to: to.name, address }));
}

/** Returns probes for every ordered pair of pods, and for every pod to every node, in each family of both. */
export function allProbes(
  pods: readonly Endpoint[],
  nodes: readonly { readonly name: string; readonly addresses: Pick<NodeAddresses, 'ipv4' | 'ipv6'> }[],
): Probe[] {
  const targets: Endpoint[] = [
    ...pods,
    ...nodes.map(({ name, addresses: { ipv4, ipv6 } }) => ({
      name,
      addresses: ipv6 ? [ipv4, ipv6] : [ipv4],
    })),
  ];
  return pods.flatMap((from) => targets.flatMap((to) => probesBetween(from, to)));
}

/** Returns one probe per path: from one pod of each node to one of each other node, and between two on one node. */
export function flowProbes(
  pods: readonly (Endpoint & { readonly node: string })[],
  nodes: readonly string[],
): Probe[] {
  const on = (name: string) => pods.filter(({ node }) => node === name);
  return nodes.flatMap((source) =>
    nodes.flatMap((target) => {
      const from = on(source)[0];
      const to = on(target).at(-1);
      return from && to ? probesBetween(from, to) : [];
    }),
  );
}
