/**
 * Which learned prefixes may go into this node's kernel, by type of peer. It runs after the BGPFilters, like Calico's
 * kernel filter. A refused route is neither selected nor propagated.
 *
 * - No peer may announce martians or an address of this node. Class E is martian, except for ranges of the cluster.
 * - By default, a learned default route is used only while the host does not have another one (BGPConfiguration
 *   acceptDefaultRoute). Nearly as wide prefixes, such as 0.0.0.0/1, count as default routes, because two of them
 *   replace one.
 * - Mesh nodes may announce only pods and services: prefixes in IPPools, in IPAM blocks whose pool was deleted, and in
 *   service ranges. They may not announce an address of a node or of the API server, or a part of this host's networks
 *   with such an address. The same applies to a node in a BGPPeer unless it reflects, but there a BGPFilter rule may
 *   accept more.
 * - A next hop from a mesh node must be a node, the address of a BGPPeer, a pod, or a neighbour of this host.
 * - A pod as peer may announce ranges of the cluster or of this host's networks only if a BGPFilter rule accepts them.
 * - Other peers of BGPPeers, such as reflectors, may announce any other route, because the operator chose them.
 */
import { createHash } from 'node:crypto';
import type { PeerType } from '../../../bgp/peer/config.ts';
import type { PrefixPolicy } from '../../../bgp/policy/import.ts';
import type { Rejection } from '../../../bgp/policy/rejection.ts';
import type { BGPConfiguration } from '../../../datastore/schema/bgp-configuration.ts';
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

/** Facts about this host from the observed kernel. */
export interface HostFacts {
  /** Addresses of its interfaces, canonical text without length. */
  readonly addresses: readonly string[];
  /** Networks of its interfaces, without martians; canonical text. */
  readonly networks: readonly string[];
  /** Families with a default route that Cali did not install. */
  readonly defaults: readonly Family[];
  /** Gateways of the default routes, canonical text. */
  readonly gateways?: readonly string[];
}

export type AcceptDefaultRoute = 'IfNone' | 'Always' | 'Never';

/** The import rules of one node, as data. */
export interface KernelImportRules {
  readonly host: HostFacts;
  readonly acceptDefaultRoute: AcceptDefaultRoute;
  /** Ranges of pods and services, which nodes announce. CIDRs in any order. */
  readonly cluster: readonly string[];
  /** Addresses of nodes and of the API server, which pods and nodes may not announce. */
  readonly infrastructure: readonly string[];
  /** Addresses of BGPPeers, which mesh nodes may pass on as next hops. */
  readonly peerAddresses: readonly string[];
}

/** Rules for blocks whose pool was deleted. */
export interface OrphanRules {
  /** Networks of this host, and host routes of nodes and of the API server. Blocks that overlap one are ignored. */
  readonly taken: readonly string[];
  /** Whether the blocks are podCIDRs. Nodes cannot write those, so all of them count. */
  readonly arePodCidrs: boolean;
}

/** Minimum prefix length of a block (IPPool blockSize). */
const SHORTEST_BLOCK: Readonly<Record<Family, number>> = { 4: 20, 6: 116 };

/** Shorter prefixes count as default routes. fc00::/7, for private use, is the largest IPv6 network. */
const SHORTEST: Readonly<Record<Family, number>> = { 4: 8, 6: 7 };
/** The IPv6 Internet, where shorter prefixes than this count as default routes. */
const INTERNET6 = toRange(mustCidr('2000::/3'));
const SHORTEST_INTERNET6 = 16;

/**
 * Returns the ranges that nodes announce: exported pools, service ranges, and blocks (or podCIDRs) outside all pools.
 * The latter are included because pods keep their addresses when their pool is deleted.
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

/** Cache of the last result. `orphansOf` is called after every change, but blocks and pools seldom change. */
let known = { question: '', answer: [] as readonly string[] };

/**
 * Returns the blocks outside these pools. Every node can write an IPAMBlock, so a block counts only if its size is
 * valid and it overlaps no address or network in `taken`.
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

/** Returns the policy for peers of a type. */
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

/** Returns the ranges that a pod may not announce: of the cluster, its hosts, this host's networks and gateways. */
function guardedFromPods({ host, cluster, infrastructure }: KernelImportRules): string[] {
  return [...cluster, ...host.networks, ...[...infrastructure, ...(host.gateways ?? [])].map(hostCidr)];
}

/** Returns a key that is equal for equal rules. It is short, because it is compared for each peer. */
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

/** Returns a check of next hops from mesh nodes: 4 octets, 16, or 32 with a link-local address after the global one. */
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
  reason: 'the next hop is not a node, a BGPPeer or a pod, and is on no network of this host',
};
const ofInfrastructure: Rejection = {
  kind: 'infrastructure',
  reason: 'it contains an address of a node or of the API server: nodes of the mesh may not announce that',
};
const outside: Rejection = {
  kind: 'outside-pools',
  reason: 'in no IPPool and no service range: nodes of the mesh may announce nothing else',
};
const ofCluster: Rejection = {
  kind: 'workload',
  reason: 'it belongs to the cluster or its hosts, and no BGPFilter rule allows this pod to announce it',
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

/** Whether the prefix at `at` is a default route or nearly as wide. */
function isDefault(family: Family, bytes: Uint8Array, at: number): boolean {
  const length = bytes[at]!;
  if (length < SHORTEST[family]) return true;
  return family === 6 && length < SHORTEST_INTERNET6 && touches(INTERNET6, bytes, at);
}

/** A network as octets, for comparison with a prefix in wire form. */
interface Range {
  readonly length: number;
  readonly bytes: Uint8Array;
}

/** Returns the ranges of the cluster in class E, which are not martian. */
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

/** Whether a range contains the prefix at `at`. */
function covers(range: Range, bytes: Uint8Array, at: number): boolean {
  return range.length <= bytes[at]! && isEqual(range.bytes, bytes, at + 1, range.length);
}

/** Whether a range and the prefix at `at` overlap. */
function touches(range: Range, bytes: Uint8Array, at: number): boolean {
  return isEqual(range.bytes, bytes, at + 1, Math.min(range.length, bytes[at]!));
}

function isEqual(network: Uint8Array, bytes: Uint8Array, at: number, bits: number): boolean {
  const octets = bits >>> 3;
  for (let i = 0; i < octets; i++) if (network[i] !== bytes[at + i]) return false;
  const rest = bits & 7;
  return rest === 0 || (network[octets]! ^ bytes[at + octets]!) >>> (8 - rest) === 0;
}
