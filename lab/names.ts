/** Names of the lab's nodes and pods: RFC 1123, unique among both, because `exec` takes either as a place. */
import { CodedError } from '../lib/errors.ts';
import { isObjectName } from '../lib/kubernetes-names.ts';

/** A node's name is the value of a label and part of the path of a unix socket (at most 107 octets). */
export const MAX_NAME = 63;

/** Places and files of the lab itself, next to the run directories of its nodes. */
const RESERVED = ['lab', 'api', 'bin', 'log', 'kubeconfig'];

/** Names in use. */
export interface NamesInUse {
  readonly nodes: readonly string[];
  readonly pods: readonly string[];
}

/** Returns why Kubernetes or the lab refuses a name; undefined when it is valid. */
export function invalidName(name: string): string | undefined {
  if (name.length > MAX_NAME) return `it has ${name.length} characters: use at most ${MAX_NAME}`;
  if (!isObjectName(name))
    return 'use lower case letters, digits, "-" and ".", and begin and end with a letter or digit (RFC 1123)';
  if (RESERVED.includes(name)) return 'the lab uses this name itself: choose another';
  return undefined;
}

/** Throws CodedError NAME when a new node or pod cannot have this name. */
export function assertFreeName(kind: 'node' | 'pod', name: string, { nodes, pods }: NamesInUse): void {
  const reason = invalidName(name);
  if (reason !== undefined)
    throw new CodedError('NAME', `${kind} ${JSON.stringify(name)}: invalid name: ${reason}`);
  const other = nodes.includes(name) ? 'node' : pods.includes(name) ? 'pod' : undefined;
  if (other === kind) throw new CodedError('NAME', `${kind} ${name} exists already`);
  if (other !== undefined)
    throw new CodedError('NAME', `${kind} ${name}: a ${other} has this name: choose another`);
}
