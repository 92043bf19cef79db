/** A workload endpoint: a pod's interface on this node. */
import { createHash } from 'node:crypto';

export interface Endpoint {
  readonly containerId: string;
  /** Interface inside the pod. */
  readonly containerInterface: string;
  readonly network: string;
  /** Host side of the veth. */
  readonly interfaceName: string;
  /** MAC address inside the pod. */
  readonly mac: string;
  readonly mtu: number;
  /** Host addresses without prefix length. */
  readonly addresses: readonly string[];
  /** Additional networks that the pod may send from, canonical; effective if FelixConfiguration allows spoofing. */
  readonly allowedSourcePrefixes?: readonly string[];
  readonly netns: string;
  readonly namespace?: string;
  readonly pod?: string;
}

/** Prefix of our interface names. `isOwnInterface` decides whether an interface is ours. */
export const INTERFACE_PREFIX = 'cali';

/** Whether an interface has one of our names: `cali` and 11 hex digits. `cali0` and `california0` are not ours. */
export function isOwnInterface(name: string): boolean {
  return /^cali[0-9a-f]{11}$/.test(name);
}

/** MAC of the host side of every veth. Its link-local address is the pods' IPv6 gateway (Calico F-003). */
export const HOST_MAC = 'ee:ee:ee:ee:ee:ee';
export const HOST_LINK_LOCAL = 'fe80::ecee:eeff:feee:eeee';

/** Whether an interface is the host side of one of our veths, judged by its name and MAC. */
export function isOwnVeth({ name, mac }: { readonly name: string; readonly mac: string }): boolean {
  return isOwnInterface(name) && mac === HOST_MAC;
}

/** Next hop of every pod's IPv4 default route. Proxy ARP answers for it. */
export const IPV4_GATEWAY = '169.254.1.1';

/** Returns the host interface of a pod: `cali` and 11 hex digits of SHA-1 over `namespace.pod` (Calico F-001). */
export function podInterfaceName(namespace: string, pod: string): string {
  return INTERFACE_PREFIX + createHash('sha1').update(`${namespace}.${pod}`).digest('hex').slice(0, 11);
}

/** Returns the host interface of a container that is not a pod: `cali` and 11 hex digits of SHA-1 over its ID. */
export function containerInterfaceName(containerId: string): string {
  return INTERFACE_PREFIX + createHash('sha1').update(containerId).digest('hex').slice(0, 11);
}

/** Derives the MAC of the pod's side: locally administered, unicast, stable per container and interface. */
export function podMac(containerId: string, containerInterface: string): string {
  const digest = createHash('sha1').update(`${containerId}.${containerInterface}`).digest();
  const bytes = [(digest[0]! & 0xfc) | 0x02, ...digest.subarray(1, 6)];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
