/**
 * Checks the CNI_* variables of a call. A container runtime sets them, partly from API objects, so each value must
 * match a pattern here before it reaches a command, a path or a file name.
 */
import { isLabelName, isObjectName } from '../lib/kubernetes-names.ts';
import { printable } from '../lib/plain-text.ts';
import { CniCode, CniError, type CniRequest, type NetworkConfiguration, parseNetwork } from './types.ts';

/** A request with a checked environment. */
export interface Attachment {
  readonly containerId: string;
  readonly interfaceName: string;
  /** Path of a network namespace; empty when the command does not need one. */
  readonly netns: string;
  readonly network: NetworkConfiguration;
  readonly pod: { readonly namespace: string; readonly name: string } | undefined;
}

/** Part of file names and handles; usually 64 hexadecimal digits. */
const containerIds = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;
/** Names that the kernel accepts and that `ip -batch` reads as one word. */
const interfaceNames = /^[a-zA-Z0-9_][a-zA-Z0-9_.@+-]{0,14}$/;
/**
 * Runtimes keep namespaces in various folders, so any absolute path of plain names is accepted; below /proc, only a
 * process's. cni/network.ts checks that the path leads to a namespace.
 */
const namespacePaths =
  /^(?=.{1,1024}$)(?:\/proc\/\d{1,10}(?:\/task\/\d{1,10})?\/ns\/net|(?!\/proc(?:\/|$))(?:\/(?!\.{1,2}(?:\/|$))[a-zA-Z0-9_.:@+-]{1,255})+)$/;
const MAX_ARGS = 4096;

/** Checks the CNI_* variables that a command needs. Throws CniError that names the variable. */
export function parseAttachment({ environment, stdin }: CniRequest, isNetnsNeeded: boolean): Attachment {
  const need = (name: string, pattern: RegExp, wanted: string) => {
    const value = environment[name];
    if (!value) throw invalid(`${name} is not set: the container runtime must pass it`);
    if (!pattern.test(value)) throw invalid(`${name} "${printable(value, 200)}" is not ${wanted}`);
    return value;
  };
  const containerId = need(
    'CNI_CONTAINERID',
    containerIds,
    'a container ID: at most 128 letters, digits, "_", "." and "-"',
  );
  const interfaceName = need(
    'CNI_IFNAME',
    interfaceNames,
    'the name of an interface, of at most 15 characters',
  );
  return {
    containerId,
    interfaceName,
    netns: isNetnsNeeded
      ? need(
          'CNI_NETNS',
          namespacePaths,
          'the absolute path of a network namespace, such as /run/netns/NAME or /proc/PID/ns/net',
        )
      : '',
    network: parseNetwork(stdin),
    pod: isNetnsNeeded ? podOf(environment['CNI_ARGS'] ?? '') : podIfValid(environment['CNI_ARGS'] ?? ''),
  };
}

/** Returns the pod that CNI_ARGS names; undefined for a container that is not a pod. */
function podOf(text: string): Attachment['pod'] {
  if (text.length > MAX_ARGS) throw invalid(`CNI_ARGS has ${text.length} characters, more than ${MAX_ARGS}`);
  const args = new Map<string, string>();
  for (const pair of text.split(';')) {
    const [name] = pair.split('=', 1);
    if (name !== 'K8S_POD_NAME' && name !== 'K8S_POD_NAMESPACE') continue;
    if (args.has(name))
      throw invalid(`CNI_ARGS contains ${name} twice: the container runtime must pass it once`);
    args.set(name, pair.slice(name.length + 1));
  }
  const name = args.get('K8S_POD_NAME') ?? '';
  const namespace = args.get('K8S_POD_NAMESPACE') ?? '';
  if (name === '' && namespace === '') return undefined;
  if (!isObjectName(name))
    throw invalid(`K8S_POD_NAME "${printable(name, 100)}" in CNI_ARGS is not the name of a pod`);
  if (!isLabelName(namespace))
    throw invalid(
      `K8S_POD_NAMESPACE "${printable(namespace, 100)}" in CNI_ARGS is not the name of a namespace`,
    );
  return { name, namespace };
}

/** As `podOf`, for DEL, which succeeds whatever CNI_ARGS is. */
function podIfValid(text: string): Attachment['pod'] {
  try {
    return podOf(text);
  } catch (error) {
    if (error instanceof CniError) return undefined;
    throw error;
  }
}

function invalid(message: string): CniError {
  return new CniError(CniCode.INVALID_ENVIRONMENT, message);
}
