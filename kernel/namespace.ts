/** Recognizes network namespaces by their files. */
import { type Stats, statSync } from 'node:fs';
import type { NamespaceKind } from './port.ts';

/** Reports what is at a path. All namespaces are files of one kernel file system (nsfs). Never throws because of it. */
export function namespaceAt(path: string): NamespaceKind {
  const found = statAt(path);
  if (typeof found === 'string') return found;
  const ours = statSync('/proc/self/ns/net');
  if (found.dev !== ours.dev) return 'no-namespace';
  return found.ino === ours.ino ? 'own' : 'pod';
}

function statAt(path: string): Stats | 'absent' | 'no-namespace' {
  try {
    return statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Such as a loop of symbolic links.
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'absent' : 'no-namespace';
  }
}
