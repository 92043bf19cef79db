/**
 * Shared libraries through koffi, for what Node does not offer. Where koffi has no build, or without the library, the
 * result is undefined. Without the C library the agent does not start, and a reflector lacks TCP MD5 and GTSM.
 */
import { createRequire } from 'node:module';

export interface Library {
  /** A function by its C prototype in koffi's syntax. Throws when the library has no such function. */
  func(prototype: string): LibraryFunction;
}

export interface LibraryFunction {
  (...args: unknown[]): unknown;
  /** Calls on a thread of libuv's pool. The last argument is `(error, value) => void`. */
  async(...args: unknown[]): unknown;
}

export interface Libc extends Library {
  /** errno of the last failed call. */
  errno(): number;
}

type Koffi = typeof import('koffi');

const libcNames = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1'];
/** A library expects the stack of a thread, but koffi's default is 128 KiB, which libnftables nearly fills. */
const ASYNC_STACK_BYTES = 8 << 20;

let loadedKoffi: Koffi | undefined | null = null;
let loadedLibc: Libc | undefined | null = null;

/** The C library, loaded with the first call. */
export function libc(): Libc | undefined {
  if (loadedLibc === null) loadedLibc = loadLibc();
  return loadedLibc;
}

/** Loads a library by its file name, such as `libnftables.so.1`. */
export function loadLibrary(name: string): Library | undefined {
  const bindings = koffi();
  return bindings && open(bindings, name);
}

function loadLibc(): Libc | undefined {
  const bindings = koffi();
  if (!bindings) return undefined;
  for (const name of libcNames) {
    const library = open(bindings, name);
    if (library) return { ...library, errno: () => bindings.errno() };
  }
  return undefined;
}

function koffi(): Koffi | undefined {
  if (loadedKoffi !== null) return loadedKoffi;
  loadedKoffi = undefined;
  try {
    loadedKoffi = createRequire(import.meta.url)('koffi') as Koffi;
    // Memory is used only as far as a call needs it.
    loadedKoffi.config({ async_stack_size: ASYNC_STACK_BYTES });
  } catch {
    // koffi is not installed, or another copy of this module has configured it.
  }
  return loadedKoffi;
}

function open(bindings: Koffi, name: string): Library | undefined {
  try {
    const library = bindings.load(name);
    return { func: (prototype) => library.func(prototype) };
  } catch {
    return undefined;
  }
}
