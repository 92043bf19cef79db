/** Recognizes network namespaces by their files. */
import { statSync } from 'node:fs';
import type { NamespaceKind } from './port.ts';

/** Reports what is at a path. All namespaces are files of one kernel file system (nsfs). */
export function namespaceAt(path: string): NamespaceKind {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return 'absent';
  const ours = statSync('/proc/self/ns/net');
  if (found.dev !== ours.dev) return 'no-namespace';
  return found.ino === ours.ino ? 'own' : 'pod';
}
