/**
 * System calls on netlink sockets and network namespaces, through koffi. The kernel works on a request during `send`, and
 * on a dump also during `receiveLater`. It may wait for its lock on network configuration (RTNL) meanwhile, for as long
 * as another program removes interfaces. So these two run on a thread of libuv's pool. The others do not block.
 */
import { CodedError } from '../../lib/errors.ts';
import { type LibraryFunction, libc } from '../../lib/libc.ts';
import { IS_LITTLE_ENDIAN } from './bytes.ts';

/** Each call returns 0 or more, or the negative error number. */
export interface SystemCalls {
  /** Returns the descriptor of a netlink socket of a protocol (linux/netlink.h NETLINK_*), closed on exec. */
  socket(protocol: number): number;
  /** Binds to a free port id and to the multicast groups of a mask. */
  bind(fd: number, groups: number): number;
  /** Sets an option whose value is an int. */
  setOption(fd: number, level: number, option: number, value: number): number;
  /** Resolves with the number of bytes that the kernel took. The bytes must not change until then. */
  send(fd: number, bytes: Uint8Array): Promise<number>;
  /** Receives a datagram. Returns its length, which is larger than the buffer when the end is lost. */
  receive(fd: number, buffer: Uint8Array): number;
  /** As `receive`, on another thread. */
  receiveLater(fd: number, buffer: Uint8Array): Promise<number>;
  close(fd: number): void;
  /** Moves the calling thread into the network namespace of a descriptor. */
  setNetworkNamespace(fd: number): number;
  /** Makes the descriptor the process's to signal (F_SETOWN). */
  own(fd: number): number;
  /** Switches the signal SIGIO on or off: the kernel sends it when the descriptor becomes readable. */
  signalWhenReadable(fd: number, isOn: boolean): number;
}

const AF_NETLINK = 16;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const CLONE_NEWNET = 0x40000000;
const F_SETFL = 4;
const F_SETOWN = 8;
const O_NONBLOCK = 0o4000;
const O_ASYNC = 0o20000;
/** struct sockaddr_nl: family u16, padding u16, port id u32, groups u32. */
const ADDRESS_LENGTH = 12;

let loaded: SystemCalls | undefined;

/** Returns the calls. Throws CodedError CONFIG when koffi is missing or has no build for this platform. */
export function systemCalls(): SystemCalls {
  loaded ??= load();
  return loaded;
}

function load(): SystemCalls {
  const library = libc();
  if (!library)
    throw new CodedError(
      'CONFIG',
      `the package koffi is not installed or has no build for ${process.platform}-${process.arch} and its C library, and Cali needs it to configure the kernel: install its packages with npm ci, and run Cali on linux-x64 or linux-arm64 with glibc or musl`,
    );
  const socket = library.func('int socket(int, int, int)');
  const bind = library.func('int bind(int, void *, uint32_t)');
  const setsockopt = library.func('int setsockopt(int, int, int, void *, uint32_t)');
  const send = library.func('long send(int, void *, size_t, int)');
  const recv = library.func('long recv(int, void *, size_t, int)');
  const close = library.func('int close(int)');
  const setns = library.func('int setns(int, int)');
  const fcntl = library.func('int fcntl(int, int, ...)');
  const result = (value: unknown): number => (Number(value) < 0 ? 0 - library.errno() : Number(value));
  const later = (call: LibraryFunction, ...args: readonly unknown[]) =>
    new Promise<number>((resolve, reject) => {
      // koffi restores the error number of the other thread for the callback.
      call.async(...args, (error: unknown, value: unknown) =>
        error ? reject(error as Error) : resolve(result(value)),
      );
    });
  return {
    socket: (protocol) => result(socket(AF_NETLINK, SOCK_RAW_NONBLOCK_CLOEXEC, protocol)),
    bind: (fd, groups) => result(bind(fd, socketAddress(groups), ADDRESS_LENGTH)),
    setOption: (fd, level, option, value) => result(setsockopt(fd, level, option, Int32Array.of(value), 4)),
    send: (fd, bytes) => later(send, fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL),
    receive: (fd, buffer) => result(recv(fd, buffer, buffer.length, MSG_DONTWAIT | MSG_TRUNC)),
    receiveLater: (fd, buffer) => later(recv, fd, buffer, buffer.length, MSG_DONTWAIT | MSG_TRUNC),
    close: (fd) => void close(fd),
    setNetworkNamespace: (fd) => result(setns(fd, CLONE_NEWNET)),
    own: (fd) => result(fcntl(fd, F_SETOWN, 'int', process.pid)),
    signalWhenReadable: (fd, isOn) =>
      result(fcntl(fd, F_SETFL, 'int', isOn ? O_NONBLOCK | O_ASYNC : O_NONBLOCK)),
  };
}

/** Port id 0: the kernel chooses a free one. */
function socketAddress(groups: number): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_NETLINK, IS_LITTLE_ENDIAN);
  view.setUint32(8, groups, IS_LITTLE_ENDIAN);
  return bytes;
}
