/** Names and texts of Linux error numbers (asm-generic/errno.h) that netlink answers with. */

const errors: ReadonlyMap<number, readonly [name: string, text: string]> = new Map([
  [1, ['EPERM', 'Operation not permitted']],
  [2, ['ENOENT', 'No such file or directory']],
  [3, ['ESRCH', 'No such process']],
  [4, ['EINTR', 'Interrupted system call']],
  [5, ['EIO', 'Input/output error']],
  [6, ['ENXIO', 'No such device or address']],
  [7, ['E2BIG', 'Argument list too long']],
  [9, ['EBADF', 'Bad file descriptor']],
  [11, ['EAGAIN', 'Resource temporarily unavailable']],
  [12, ['ENOMEM', 'Cannot allocate memory']],
  [13, ['EACCES', 'Permission denied']],
  [14, ['EFAULT', 'Bad address']],
  [16, ['EBUSY', 'Device or resource busy']],
  [17, ['EEXIST', 'File exists']],
  [19, ['ENODEV', 'No such device']],
  [22, ['EINVAL', 'Invalid argument']],
  [23, ['ENFILE', 'Too many open files in system']],
  [24, ['EMFILE', 'Too many open files']],
  [28, ['ENOSPC', 'No space left on device']],
  [34, ['ERANGE', 'Numerical result out of range']],
  [36, ['ENAMETOOLONG', 'File name too long']],
  [40, ['ELOOP', 'Too many levels of symbolic links']],
  [71, ['EPROTO', 'Protocol error']],
  [74, ['EBADMSG', 'Bad message']],
  [75, ['EOVERFLOW', 'Value too large for defined data type']],
  [76, ['ENOTUNIQ', 'Name not unique on network']],
  [90, ['EMSGSIZE', 'Message too long']],
  [93, ['EPROTONOSUPPORT', 'Protocol not supported']],
  [95, ['EOPNOTSUPP', 'Operation not supported']],
  [97, ['EAFNOSUPPORT', 'Address family not supported by protocol']],
  [98, ['EADDRINUSE', 'Address already in use']],
  [99, ['EADDRNOTAVAIL', 'Cannot assign requested address']],
  [100, ['ENETDOWN', 'Network is down']],
  [101, ['ENETUNREACH', 'Network is unreachable']],
  [105, ['ENOBUFS', 'No buffer space available']],
  [110, ['ETIMEDOUT', 'Connection timed out']],
  [111, ['ECONNREFUSED', 'Connection refused']],
  [113, ['EHOSTUNREACH', 'No route to host']],
]);

/** Returns the name of an error number, such as `EEXIST`; `ERRNO_200` for one that is not in the table. */
export function errnoName(errno: number): string {
  return errors.get(errno)?.[0] ?? `ERRNO_${errno}`;
}

/** Returns the text of an error number as strerror does: `File exists`. */
export function errnoText(errno: number): string {
  return errors.get(errno)?.[1] ?? `Unknown error ${errno}`;
}
