/** Switches offloads of devices with ioctl(2), which only kernels before 5.7 need. */
import { CodedError, messageOf } from '../lib/errors.ts';
import { libc } from '../lib/libc.ts';
import { IS_LITTLE_ENDIAN } from './netlink/bytes.ts';
import { errnoName, errnoText } from './netlink/errno.ts';
import { inNamespace } from './netlink/namespace.ts';

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
/** linux/sockios.h and linux/ethtool.h. */
const SIOCETHTOOL = 0x8946;
const ETHTOOL_STXCSUM = 0x17;
/** struct ifreq: the name, with NUL, in 16 bytes, and a union, here a pointer. struct ethtool_value: two u32. */
const IFNAMSIZ = 16;
const IFREQ_LENGTH = 40;
const ETHTOOL_VALUE_LENGTH = 8;

/**
 * Switches the checksum offload of a device off, as `ethtool -K` does, in the network namespace of a file; default: this
 * thread's. Returns a sentence when that fails.
 */
export async function switchOffloadOff(device: string, netns?: string): Promise<string | undefined> {
  try {
    await setChecksumOffload(device, false, netns);
    return undefined;
  } catch (error) {
    return `this kernel needs checksum offload off, and it cannot be disabled on ${device}: ${messageOf(error)}`;
  }
}

/** The kernel may wait for its lock on network configuration, so the call is on a thread of libuv's pool. */
async function setChecksumOffload(device: string, isOn: boolean, netns?: string): Promise<void> {
  const name = new TextEncoder().encode(device);
  if (name.length >= IFNAMSIZ) throw new CodedError('NETLINK', 'its name is too long');
  const library = libc();
  if (!library) throw new CodedError('NETLINK', 'koffi is missing');
  const malloc = library.func('uintptr_t malloc(size_t)');
  const memcpy = library.func('void *memcpy(uintptr_t, void *, size_t)');
  const free = library.func('void free(uintptr_t)');
  const socket = library.func('int socket(int, int, int)');
  const ioctl = library.func('int ioctl(int, unsigned long, void *)');
  const close = library.func('int close(int)');
  const open = () => Number(socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0));
  const fd = netns === undefined ? open() : inNamespace(netns, open);
  const fail = () =>
    new CodedError('NETLINK', `${errnoText(library.errno())} (${errnoName(library.errno())})`);
  if (fd < 0) throw fail();
  // The address of a JavaScript buffer can change, so the value is in memory of the C library.
  const value = malloc(ETHTOOL_VALUE_LENGTH) as number | bigint;
  try {
    memcpy(value, Uint32Array.of(ETHTOOL_STXCSUM, isOn ? 1 : 0), ETHTOOL_VALUE_LENGTH);
    const request = Buffer.alloc(IFREQ_LENGTH);
    request.set(name);
    new DataView(request.buffer, request.byteOffset).setBigUint64(IFNAMSIZ, BigInt(value), IS_LITTLE_ENDIAN);
    await new Promise<void>((resolve, reject) => {
      ioctl.async(fd, SIOCETHTOOL, request, (error: unknown, result: unknown) =>
        error || result !== 0 ? reject(error ? (error as Error) : fail()) : resolve(),
      );
    });
  } finally {
    free(value);
    close(fd);
  }
}
