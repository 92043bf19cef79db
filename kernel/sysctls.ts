/** Sets sysctls (model/sysctls.ts) in this network namespace. */
import { readFileSync, writeFileSync } from 'node:fs';
import { printable } from '../lib/plain-text.ts';
import type { Sysctl } from '../model/sysctls.ts';
import type { MaySet } from './port.ts';

/**
 * Root of the sysctls. /proc/sys is read-only in an unprivileged container, so the DaemonSet mounts the host's
 * /proc/sys/net elsewhere. Wherever it is mounted, it shows the network namespace of the process that opens it.
 */
export const SYSCTL_ROOT = process.env['CALI_PROC_SYS'] || '/proc/sys';

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
