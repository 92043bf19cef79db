/**
 * The C library, for what Node has no word for, by koffi. koffi is an optional package: without it, or without a C
 * library that it knows, there is none, and who needs it says what does not work.
 */
import { createRequire } from 'node:module';

export interface Libc {
  /** A function by its C prototype, as koffi writes it. Throws when there is none of that name. */
  func(prototype: string): (...args: unknown[]) => unknown;
  /** Of the last call that failed. */
  errno(): number;
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
        // The next one.
      }
    }
  } catch {
    // koffi is not installed.
  }
  return undefined;
}
