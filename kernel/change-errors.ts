/** Errors of `ip` and `bridge` as errors of the changes that they were given. */
import type { ChangeError, KernelChange } from './change.ts';
import type { BatchError } from './ip-batch.ts';

/** Messages of the C library, the kernel (extended acknowledgement) and iproute2, which all lack the number. */
const CODES: readonly (readonly [start: string, code: string])[] = [
  ['File exists', 'EEXIST'],
  ['ipv4: Address already assigned', 'EEXIST'],
  ['ipv6: address already assigned', 'EEXIST'],
  ['No such process', 'ESRCH'],
  ['No such device', 'ENODEV'],
  ['Cannot find device', 'ENODEV'],
  ['No such file or directory', 'ENOENT'],
  ['ipv4: Address not found', 'EADDRNOTAVAIL'],
  ['ipv6: address not found', 'EADDRNOTAVAIL'],
  ['Cannot assign requested address', 'EADDRNOTAVAIL'],
  ['Network is unreachable', 'ENETUNREACH'],
  ['Network is down', 'ENETDOWN'],
  ['Device for nexthop is not up', 'ENETDOWN'],
  ['No route to host', 'EHOSTUNREACH'],
  ['Operation not permitted', 'EPERM'],
  ['Operation not supported', 'EOPNOTSUPP'],
  ['Unknown device type', 'EOPNOTSUPP'],
  ['Invalid argument', 'EINVAL'],
  ['Device or resource busy', 'EBUSY'],
  ['No buffer space available', 'ENOBUFS'],
  ['Cannot allocate memory', 'ENOMEM'],
];

/** Returns the name of the error number behind a message of `ip` or `bridge`. */
export function codeOf(message: string): string | undefined {
  const parts = message.split('; ');
  return CODES.find(([start]) => parts.some((part) => part.startsWith(start)))?.[1];
}

/** Returns the errors with their changes. `commands` are the changes as text, in the same order. */
export function changeErrors(
  errors: readonly BatchError[],
  commands: readonly string[],
  changes: readonly KernelChange[],
): ChangeError[] {
  return errors.flatMap(({ command, message }) => {
    const at = commands.indexOf(command);
    // An error of the whole batch: report it once, with the first change.
    const change = changes[Math.max(at, 0)];
    return change ? [{ change, code: codeOf(message), message }] : [];
  });
}
