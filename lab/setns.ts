/**
 * Sockets in other network namespaces from one process: setns around socket(), by koffi. The event loop's
 * thread is back in its own namespace before anything else runs, because no step in between waits.
 */
import { closeSync, openSync } from 'node:fs';
import { CodedError } from '../lib/errors.ts';

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;

export interface Sockets {
  /** File descriptor of a UDP socket in the namespace. */
  udp(netns: string, family: 4 | 6): number;
}

/** Throws CodedError KOFFI when the optional package is not there. */
export async function loadSockets(): Promise<Sockets> {
  const koffi = await import('koffi').then(
    (module) => module.default,
    (error: unknown) => {
      throw new CodedError('KOFFI', 'the lab needs the optional package koffi, which npm did not install: run npm install again', { cause: error });
    },
  );
  const libc = koffi.load('libc.so.6');
  const setns = libc.func('int setns(int, int)') as (fd: number, type: number) => number;
  const socket = libc.func('int socket(int, int, int)') as (family: number, type: number, protocol: number) => number;
  const home = openSync('/proc/self/ns/net', 'r');
  return {
    udp(netns, family) {
      const target = openSync(netns, 'r');
      try {
        if (setns(target, CLONE_NEWNET) !== 0) throw new Error(`setns ${netns}: errno ${koffi.errno()}`);
        const fd = socket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0);
        const errno = koffi.errno();
        if (setns(home, CLONE_NEWNET) !== 0) throw new Error(`setns back: errno ${koffi.errno()}`);
        if (fd < 0) throw new Error(`socket in ${netns}: errno ${errno}`);
        return fd;
      } finally {
        closeSync(target);
      }
    },
  };
}
