/** Sets sysctls of the node, workload interfaces and tunnel devices (Calico reference 3.1). */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Family } from '../lib/cidr.ts';
import { printable } from '../lib/plain-text.ts';
import type { MaySet, Sysctl } from './port.ts';

/**
 * Root of the sysctls. /proc/sys is read-only in an unprivileged container, so the DaemonSet mounts the host's
 * /proc/sys/net elsewhere. Wherever it is mounted, it shows the network namespace of the process that opens it.
 */
export const SYSCTL_ROOT = process.env['CALI_PROC_SYS'] || '/proc/sys';

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

const READ_ONLY = ': mount the host’s /proc/sys/net and set CALI_PROC_SYS to the mount (deploy/README.md)';

/** Whether a path stays below /proc/sys: plain file names only, without "..". */
function isSysctl(path: string): boolean {
  return path.split('/').every((name) => /^[a-zA-Z0-9_][a-zA-Z0-9_.:@+-]{0,63}$/.test(name));
}

/**
 * Writes the values that differ, and returns a sentence per sysctl that could not be set. Synchronous, because these
 * files answer in microseconds and a trip through the thread pool takes a hundred times as long. Correct values are not
 * rewritten, because some writes wait for the kernel's single lock on network configuration.
 */
export function applySysctls(sysctls: readonly Sysctl[], maySet: MaySet = () => true): string[] {
  const problems: string[] = [];
  for (const { path, value, isOptional } of sysctls) {
    if (!isSysctl(path) || !/^[\w -]{0,64}$/.test(value)) {
      problems.push(
        `${printable(path, 200)} is not a valid sysctl path, or its value is not plain text: refused`,
      );
      continue;
    }
    const file = `${SYSCTL_ROOT}/${path}`;
    try {
      const present = readFileSync(file, 'utf8').trim();
      if (present === value) continue;
      if (maySet(path, value, present)) writeFileSync(file, value);
      else
        problems.push(
          `${file} is ${present}, not ${value}: another program resets it, so Cali sets it less often`,
        );
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' && isOptional) continue;
      problems.push(`${file} cannot be set to ${value} (${code})${code === 'EROFS' ? READ_ONLY : ''}`);
    }
  }
  return problems;
}
