/** Sysctls of the node, workload interfaces, tunnel devices and pods (Calico reference 3.1). */
import type { Family } from '../lib/cidr.ts';

/** A file below /proc/sys and its desired value. Optional ones may be missing in this kernel. */
export interface Sysctl {
  readonly path: string;
  readonly value: string;
  readonly isOptional?: boolean;
}

export function nodeSysctls(families: readonly Family[]): Sysctl[] {
  const sysctls: Sysctl[] = [];
  if (families.includes(4)) sysctls.push({ path: 'net/ipv4/ip_forward', value: '1' });
  if (families.includes(6)) sysctls.push({ path: 'net/ipv6/conf/all/forwarding', value: '1' });
  return sysctls;
}

/** `isLoose`: the pod may send from additional networks, which the nftables table restricts. */
export function interfaceSysctls(name: string, families: readonly Family[], isLoose = false): Sysctl[] {
  const v4 = `net/ipv4/conf/${name}`;
  const v6 = `net/ipv6/conf/${name}`;
  const sysctls: Sysctl[] = [{ path: `${v6}/accept_ra`, value: '0', isOptional: true }];
  if (families.includes(4)) {
    sysctls.push(
      { path: `${v4}/route_localnet`, value: '1' },
      { path: `net/ipv4/neigh/${name}/proxy_delay`, value: '0', isOptional: true },
      { path: `${v4}/proxy_arp`, value: '1' },
      { path: `${v4}/forwarding`, value: '1' },
      // Strict mode: a pod can send only from its own addresses.
      { path: `${v4}/rp_filter`, value: isLoose ? '0' : '1' },
    );
  }
  if (families.includes(6)) {
    sysctls.push({ path: `${v6}/proxy_ndp`, value: '1' }, { path: `${v6}/forwarding`, value: '1' });
  }
  return sysctls;
}

/**
 * Returns the sysctls of a tunnel device. While nodes change modes one after the other, a tunnel's packets can return
 * by another path. So rp_filter is in loose mode, which accepts any interface with a route to the source, whatever
 * conf/all holds.
 */
export function tunnelSysctls(name: string, family: Family): Sysctl[] {
  if (family === 6)
    return [
      { path: `net/ipv6/conf/${name}/forwarding`, value: '1' },
      { path: `net/ipv6/conf/${name}/use_oif_addrs_only`, value: '1' },
    ];
  return [
    { path: `net/ipv4/conf/${name}/rp_filter`, value: '2' },
    { path: `net/ipv4/conf/${name}/forwarding`, value: '1' },
  ];
}

/** Returns the sysctls of a pod's namespace: pods do not forward packets, and IPv6 is enabled if the kernel has it. */
export function podSysctls(): Sysctl[] {
  return [
    { path: 'net/ipv4/ip_forward', value: '0' },
    { path: 'net/ipv6/conf/all/disable_ipv6', value: '0', isOptional: true },
    { path: 'net/ipv6/conf/all/forwarding', value: '0', isOptional: true },
  ];
}
