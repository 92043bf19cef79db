/**
 * System calls that Node has no word for, by koffi: socket options, and a send that costs half of a stream's
 * write. koffi is optional; without it everything works but what needs the options.
 */
import { createRequire } from 'node:module';

export interface Native {
  /** Octets taken by the kernel; negative when it takes none now. */
  send(fd: number, bytes: Uint8Array): number;
  /** A non-blocking TCP socket; negative on failure. */
  socket(isV6: boolean): number;
  close(fd: number): void;
  /** 0, or the errno. */
  setOption(fd: number, level: number, option: number, value: Uint8Array): number;
}

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;

let loaded: Native | undefined | null = null;

/** The calls, or undefined where koffi or a C library for it is missing. */
export function native(): Native | undefined {
  if (loaded === null) loaded = load();
  return loaded;
}

function load(): Native | undefined {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const libc = libraries
      .map((name) => attempt(() => koffi.load(name)))
      .find((library) => library !== undefined);
    if (!libc) return undefined;
    const send = libc.func('long send(int, void *, size_t, int)');
    const socket = libc.func('int socket(int, int, int)');
    const close = libc.func('int close(int)');
    const setsockopt = libc.func('int setsockopt(int, int, int, void *, uint32_t)');
    return {
      send: (fd, bytes) => send(fd, bytes, bytes.length, MSG_DONTWAIT_NOSIGNAL) as number,
      socket: (isV6) => socket(isV6 ? AF_INET6 : AF_INET, SOCK_STREAM_NONBLOCK_CLOEXEC, 0) as number,
      close: (fd) => void close(fd),
      setOption: (fd, level, option, value) =>
        setsockopt(fd, level, option, value, value.length) === 0 ? 0 : koffi.errno(),
    };
  } catch {
    return undefined;
  }
}

const libraries = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1'];

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
