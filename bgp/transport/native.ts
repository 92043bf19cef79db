/**
 * System calls that Node does not offer: socket options, and a send at half the cost of a stream's write. Without koffi
 * (lib/libc.ts) only the features that need these options are missing.
 */
import { libc } from '../../lib/libc.ts';

export interface Native {
  /** Octets that the kernel accepted; negative when it accepts none now. */
  send(fd: number, bytes: Uint8Array): number;
  /** A non-blocking TCP socket; negative on failure. */
  socket(isV6: boolean): number;
  close(fd: number): void;
  /** 0, or the errno. */
  setOption(fd: number, level: number, option: number, value: Uint8Array): number;
  /** The option's value of at most `size` octets; undefined when the kernel refuses. */
  getOption(fd: number, level: number, option: number, size: number): Uint8Array | undefined;
}

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;

let loaded: Native | undefined | null = null;

/** The calls; undefined when lib/libc.ts has no C library. */
export function native(): Native | undefined {
  if (loaded === null) loaded = load();
  return loaded;
}

function load(): Native | undefined {
  const library = libc();
  if (!library) return undefined;
  const send = library.func('long send(int, void *, size_t, int)');
  const socket = library.func('int socket(int, int, int)');
  const close = library.func('int close(int)');
  const setsockopt = library.func('int setsockopt(int, int, int, void *, uint32_t)');
  const getsockopt = library.func('int getsockopt(int, int, int, void *, _Inout_ uint32_t *)');
  return {
    send: (fd, bytes) => send(fd, bytes, bytes.length, MSG_DONTWAIT_NOSIGNAL) as number,
    socket: (isV6) => socket(isV6 ? AF_INET6 : AF_INET, SOCK_STREAM_NONBLOCK_CLOEXEC, 0) as number,
    close: (fd) => void close(fd),
    setOption: (fd, level, option, value) =>
      setsockopt(fd, level, option, value, value.length) === 0 ? 0 : library.errno(),
    getOption: (fd, level, option, size) => {
      const value = new Uint8Array(size);
      const length = [size];
      return getsockopt(fd, level, option, value, length) === 0 ? value.subarray(0, length[0]) : undefined;
    },
  };
}
