/**
 * Which learned prefixes may go into this node's kernel, by peer. Asked after the BGPFilters, as Calico asks its kernel
 * filter after those of the peer; a route that is refused here is neither selected nor propagated.
 *
 * - No peer may introduce martians, or an address of this node. Class E is martian but for what the cluster uses of it.
 * - A default route is used while the host has none of its own (BGPConfiguration acceptDefaultRoute). A prefix that is
 *   nearly as wide, such as 0.0.0.0/1, is judged as one: two of them replace a default route.
 * - A node of the mesh announces pods and services, and nothing else: what lies in IPPools, in IPAM blocks whose pool has
 *   gone, and in the service ranges. It announces no address of a node or of the API server, and no part of a network of
 *   this host that holds one.
 * - A next hop from the mesh is a node, a peer that a BGPPeer names, a pod, or a neighbour of this host.
 * - A pod that is a peer announces nothing that belongs to the cluster or to this host's networks, unless a BGPFilter rule accepts it.
 *   So does a node that a BGPPeer names, unless it reflects; there a BGPFilter rule may accept more.
 * - Peers of BGPPeers, reflectors among them, may bring routes to anywhere else: the operator has chosen them.
 */
import { createHash } from 'node:crypto';
import type { PeerType } from '../../../bgp/peer-config.ts';
import type { PrefixPolicy } from '../../../bgp/policy/import.ts';
import type { Rejection } from '../../../bgp/policy/rejection.ts';
import type { BGPConfiguration } from '../../../datastore/schema/bgp.ts';
import type { IPPool } from '../../../datastore/schema/ip-pool.ts';
import {
  addressBytes,
  bitsOf,
  type Cidr,
  contains,
  type Family,
  hostCidr,
  mustCidr,
  networkOf,
  overlaps,
} from '../../../lib/cidr.ts';
import { martians, reserved } from '../../../lib/martians.ts';

/** What the observed kernel says about this host. */
export interface HostFacts {
  /** Addresses of its interfaces, canonical text without length. */
  readonly addresses: readonly string[];
  /** Networks that its interfaces lie on, without martians; canonical text. */
  readonly networks: readonly string[];
  /** Families in which it has a default route of its own. */
  readonly defaults: readonly Family[];
  /** Gateways of these, canonical text. */
  readonly gateways?: readonly string[];
}

export type AcceptDefaultRoute = 'IfNone' | 'Always' | 'Never';

/** The rules of one node, as data. */
export interface KernelImportRules {
  readonly host: HostFacts;
  readonly acceptDefaultRoute: AcceptDefaultRoute;
  /** Pods and services: what nodes announce. CIDRs in any order. */
  readonly cluster: readonly string[];
  /** Addresses that pods and nodes may not draw to themselves: of nodes and of the API server. */
  readonly infrastructure: readonly string[];
  /** Addresses of BGPPeers: next hops that nodes of the mesh pass on unchanged. */
  readonly peerAddresses: readonly string[];
}

/** What may count as a block whose pool has gone. */
export interface OrphanRules {
  /** Networks of this host, and host routes of nodes and of the API server: a block that overlaps one is not used. */
  readonly taken: readonly string[];
  /** The blocks are podCIDRs, which nodes cannot write: each of them counts. */
  readonly arePodCidrs: boolean;
}

/** Shortest block that an IPPool can have (blockSize). */
const SHORTEST_BLOCK: Readonly<Record<Family, number>> = { 4: 20, 6: 116 };

/** No network is as large as a prefix shorter than this: fc00::/7, for private use, is the largest of IPv6. */
const SHORTEST: Readonly<Record<Family, number>> = { 4: 8, 6: 7 };
/** The Internet of IPv6, and the same for networks in it. */
const INTERNET6 = toRange(mustCidr('2000::/3'));
const SHORTEST_INTERNET6 = 16;

/**
 * What nodes announce: pools that are exported, service ranges, and blocks (or podCIDRs) that lie in no pool, because
 * pods keep their addresses when their pool is deleted.
 */
export function clusterRanges(
  pools: readonly IPPool[],
  { serviceClusterIPs = [], serviceExternalIPs = [], serviceLoadBalancerIPs = [] }: BGPConfiguration['spec'],
  blocks: readonly string[],
  rules: OrphanRules,
): string[] {
  const orphans = orphansOf(
    blocks,
    pools.map(({ spec }) => spec.cidr),
    rules,
  );
  const exported = pools.filter(({ spec }) => !spec.disableBGPExport).map(({ spec }) => spec.cidr);
  const services = [...serviceClusterIPs, ...serviceExternalIPs, ...serviceLoadBalancerIPs];
  return [...new Set([...exported, ...orphans, ...services.map(({ cidr }) => cidr)])].sort();
}

/** The last question and its answer: it is asked after every change, and blocks and pools change seldom. */
let known = { question: '', answer: [] as readonly string[] };

/**
 * Blocks that lie in none of these pools. Each node can write an IPAMBlock, so a block counts only when it has the size of
 * one and overlaps nothing that the cluster or this host needs.
 */
function orphansOf(
  blocks: readonly string[],
  pools: readonly string[],
  { taken, arePodCidrs }: OrphanRules,
): readonly string[] {
  const question = `${pools.join()} ${taken.join()} ${arePodCidrs} ${blocks.join()}`;
  if (question !== known.question) {
    const ranges = pools.map(mustCidr);
    const refused = arePodCidrs ? [] : taken.map(mustCidr);
    const answer = blocks.filter((block) => {
      const cidr = mustCidr(block);
      if (ranges.some((range) => contains(range, cidr))) return false;
      return (
        arePodCidrs ||
        (cidr.length >= SHORTEST_BLOCK[cidr.family] && !refused.some((range) => overlaps(range, cidr)))
      );
    });
    known = { question, answer };
  }
  return known.answer;
}

/** The policy for peers of a type. */
export function kernelImport(rules: KernelImportRules, peerType: PeerType): PrefixPolicy {
  const refused = { 4: refusedRanges(rules, 4), 6: refusedRanges(rules, 6) };
  const isMesh = peerType === 'node-to-node mesh';
  const cluster = { 4: rangesOf(rules.cluster, 4), 6: rangesOf(rules.cluster, 6) };
  const guarded = peerType === 'local workload' ? guardedFromPods(rules) : [];
  const guardedRanges = { 4: rangesOf(guarded, 4), 6: rangesOf(guarded, 6) };
  const defaults = { 4: defaultRejection(rules, 4), 6: defaultRejection(rules, 6) };
  const networks = { 4: rangesOf(rules.host.networks, 4), 6: rangesOf(rules.host.networks, 6) };
  const hosts = rules.infrastructure.map(hostCidr);
  const infrastructure = { 4: rangesOf(hosts, 4), 6: rangesOf(hosts, 6) };
  const isOfInfrastructure = (family: Family, bytes: Uint8Array, at: number) =>
    (bytes[at] === bitsOf(family) || isInside(networks[family], bytes, at)) &&
    infrastructure[family].some((range) => touches(range, bytes, at));
  return {
    key: keyOf(rules, peerType, guarded),
    ...(isMesh ? { nextHopRejection: nextHops(rules) } : {}),
    rejection(family, bytes, at, isPermitted) {
      const found = refused[family].find(
        ({ range, except }) => covers(range, bytes, at) && !isInside(except, bytes, at),
      );
      if (found) return found.rejection;
      if (isMesh && !isPermitted && !isInside(cluster[family], bytes, at)) return outside;
      if (isMesh && !isPermitted && isOfInfrastructure(family, bytes, at)) return ofInfrastructure;
      if (defaults[family] && isDefault(family, bytes, at)) return defaults[family];
      if (!isPermitted && guardedRanges[family].some((range) => touches(range, bytes, at))) return ofCluster;
      return undefined;
    },
  };
}

/** What a pod may not draw to itself: the cluster, its machines, and the host's own networks and way out. */
function guardedFromPods({ host, cluster, infrastructure }: KernelImportRules): string[] {
  return [...cluster, ...host.networks, ...[...infrastructure, ...(host.gateways ?? [])].map(hostCidr)];
}

/** Equal for equal rules. It is compared for each peer, so it is short. */
function keyOf(rules: KernelImportRules, peerType: PeerType, guarded: readonly string[]): string {
  const { host, acceptDefaultRoute, cluster, infrastructure, peerAddresses } = rules;
  const { networks, ...facts } = host;
  const more =
    peerType === 'node-to-node mesh' ? { networks, cluster, infrastructure, peerAddresses } : { guarded };
  const digest = createHash('sha256').update(
    JSON.stringify([facts, acceptDefaultRoute, more, reservedInUse(cluster)]),
  );
  return JSON.stringify([peerType, digest.digest('base64')]);
}

/** Judges next hops of the mesh: 4 octets, or an IPv6 address of 16, with a link-local one after it in 32. */
function nextHops({ host, cluster, infrastructure, peerAddresses }: KernelImportRules) {
  const known = new Set(
    [...infrastructure, ...peerAddresses].map((address) => hexOf(addressBytes(mustCidr(hostCidr(address))))),
  );
  const networks = [...host.networks, ...cluster];
  const ranges = { 4: rangesOf(networks, 4), 6: rangesOf(networks, 6) };
  const refused = { 4: martianRanges(4), 6: martianRanges(6) };
  return (bytes: Uint8Array): Rejection | undefined => {
    const family = bytes.length === 4 ? 4 : 6;
    const address = bytes.subarray(0, family === 4 ? 4 : 16);
    if (known.has(hexOf(address))) return undefined;
    const holds = ({ length, bytes: network }: Range) => isEqual(network, address, 0, length);
    return ranges[family].some(holds) && !refused[family].some(holds) ? undefined : strangeNextHop;
  };
}

function martianRanges(family: Family): Range[] {
  return martians.filter(({ range }) => range.family === family).map(({ range }) => toRange(range));
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

const strangeNextHop: Rejection = {
  kind: 'next-hop',
  reason: 'the next hop is no node, no BGPPeer, no pod and on no network of this host',
};
const ofInfrastructure: Rejection = {
  kind: 'infrastructure',
  reason: 'it holds an address of a node or of the API server: nodes of the mesh do not announce those',
};
const outside: Rejection = {
  kind: 'outside-pools',
  reason: 'in no IPPool and no service range: nodes of the mesh announce nothing else',
};
const ofCluster: Rejection = {
  kind: 'workload',
  reason: 'it belongs to the cluster or its hosts, and no rule of a BGPFilter lets this pod announce it',
};

function defaultRejection(
  { host, acceptDefaultRoute }: KernelImportRules,
  family: Family,
): Rejection | undefined {
  if (acceptDefaultRoute === 'Never')
    return {
      kind: 'default-route',
      reason: 'a default route, and BGPConfiguration acceptDefaultRoute is Never',
    };
  if (acceptDefaultRoute === 'Always' || !host.defaults.includes(family)) return undefined;
  return {
    kind: 'default-route',
    reason: 'it would replace the default route of the host (BGPConfiguration acceptDefaultRoute is IfNone)',
  };
}

/** Whether the prefix at `at` is a default route, or a large part of one. */
function isDefault(family: Family, bytes: Uint8Array, at: number): boolean {
  const length = bytes[at]!;
  if (length < SHORTEST[family]) return true;
  return family === 6 && length < SHORTEST_INTERNET6 && touches(INTERNET6, bytes, at);
}

/** A network as octets, to be compared with a prefix in wire form. */
interface Range {
  readonly length: number;
  readonly bytes: Uint8Array;
}

/** Ranges of the cluster in class E: there they are no martians. */
function reservedInUse(cluster: readonly string[]): string[] {
  return cluster.filter((cidr) => contains(reserved.range, mustCidr(cidr)));
}

function refusedRanges({ host, cluster }: KernelImportRules, family: Family) {
  const own = host.addresses.map((address) => mustCidr(hostCidr(address)));
  const martian = ({ range, name }: (typeof martians)[number]) => ({
    cidr: range,
    rejection: { kind: 'martian' as const, reason: `martian: ${name}` },
    except: [] as readonly Range[],
  });
  return [
    ...martians.map(martian),
    { ...martian(reserved), except: rangesOf(reservedInUse(cluster), 4) },
    ...own.map((cidr) => ({ cidr, rejection: ownAddress, except: [] })),
  ]
    .filter(({ cidr }) => cidr.family === family)
    .map(({ cidr, rejection, except }) => ({ range: toRange(cidr), rejection, except }));
}

const ownAddress: Rejection = { kind: 'own-address', reason: 'an address of this node' };

function rangesOf(cidrs: readonly string[], family: Family): Range[] {
  return cidrs
    .map(mustCidr)
    .filter((cidr) => cidr.family === family)
    .map(toRange);
}

function toRange(cidr: Cidr): Range {
  return { length: cidr.length, bytes: addressBytes(networkOf(cidr)) };
}

function isInside(ranges: readonly Range[], bytes: Uint8Array, at: number): boolean {
  return ranges.some((range) => covers(range, bytes, at));
}

/** Whether a range holds all of the prefix at `at`. */
function covers(range: Range, bytes: Uint8Array, at: number): boolean {
  return range.length <= bytes[at]! && isEqual(range.bytes, bytes, at + 1, range.length);
}

/** Whether a range and the prefix at `at` have an address in common. */
function touches(range: Range, bytes: Uint8Array, at: number): boolean {
  return isEqual(range.bytes, bytes, at + 1, Math.min(range.length, bytes[at]!));
}

function isEqual(network: Uint8Array, bytes: Uint8Array, at: number, bits: number): boolean {
  const octets = bits >>> 3;
  for (let i = 0; i < octets; i++) if (network[i] !== bytes[at + i]) return false;
  const rest = bits & 7;
  return rest === 0 || (network[octets]! ^ bytes[at + octets]!) >>> (8 - rest) === 0;
}
