/**
 * Opens sockets in other network namespaces from one process, with setns (by koffi) before and after socket(). No step
 * in between waits, so the event loop's thread is back in its namespace before any other code runs.
 */
import { closeSync, openSync } from 'node:fs';
import { addressBytes, parseAddress } from '../lib/cidr.ts';
import { CodedError } from '../lib/errors.ts';
import { libc } from '../lib/libc.ts';

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;

export interface Sockets {
  /** Returns the file descriptor of a UDP socket in the namespace, bound to an address, or to the family's wildcard. */
  udp(netns: string, family: 4 | 6, port: number, address: string | undefined): number;
}

/** Throws CodedError KOFFI if koffi has no build for this platform. */
export function loadSockets(): Sockets {
  const library = libc();
  if (!library)
    throw new CodedError(
      'KOFFI',
      `the lab needs the package koffi, which is not installed or has no build for ${process.platform}-${process.arch}: install it with npm ci, on linux-x64 or linux-arm64`,
    );
  const setns = library.func('int setns(int, int)');
  const socket = library.func('int socket(int, int, int)');
  const bind = library.func('int bind(int, void *, uint32_t)');
  const setsockopt = library.func('int setsockopt(int, int, int, void *, uint32_t)');
  const home = openSync('/proc/self/ns/net', 'r');
  return {
    udp(netns, family, port, host) {
      const target = openSync(netns, 'r');
      try {
        if (setns(target, CLONE_NEWNET) !== 0) throw new Error(`setns ${netns}: errno ${library.errno()}`);
        const fd = socket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0) as number;
        const errno = library.errno();
        if (setns(home, CLONE_NEWNET) !== 0) throw new Error(`setns back: errno ${library.errno()}`);
        if (fd < 0) throw new Error(`socket in ${netns}: errno ${errno}`);
        // Each family has its own socket on the same port.
        if (family === 6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, Uint8Array.of(1, 0, 0, 0), 4);
        const address = socketAddress(family, port, host);
        if (bind(fd, address, address.length) !== 0)
          throw new Error(`bind in ${netns}: errno ${library.errno()}`);
        return fd;
      } finally {
        closeSync(target);
      }
    },
  };
}

/**
 * Returns a struct sockaddr_in or sockaddr_in6, of the wildcard address by default. The family is in host order, for
 * little-endian machines.
 */
function socketAddress(family: 4 | 6, port: number, host: string | undefined): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, family === 4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  if (host) bytes.set(addressBytes(parseAddress(host)!), family === 4 ? 4 : 8);
  return bytes;
}
