/**
 * The C library through koffi, for system calls that Node does not offer. koffi is an optional package. Without it, or
 * with an unknown C library, this is undefined, and each caller reports what does not work.
 */
import { createRequire } from 'node:module';

export interface Libc {
  /** A function by its C prototype in koffi's syntax. Throws when the library has no such function. */
  func(prototype: string): LibraryFunction;
  /** errno of the last failed call. */
  errno(): number;
}

export interface LibraryFunction {
  (...args: unknown[]): unknown;
  /** Calls on a thread of libuv's pool. The last argument is `(error, value) => void`. */
  async(...args: unknown[]): unknown;
}

const libraries = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1'];

let loaded: Libc | undefined | null = null;

/** The library, loaded with the first call. */
export function libc(): Libc | undefined {
  if (loaded === null) loaded = load();
  return loaded;
}

function load(): Libc | undefined {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    for (const name of libraries) {
      try {
        const library = koffi.load(name);
        return { func: (prototype) => library.func(prototype), errno: () => koffi.errno() };
      } catch {
        // Try the next name.
      }
    }
  } catch {
    // koffi is not installed.
  }
  return undefined;
}
