/** What the CNI plugin does in the kernel, by netlink. */
import { CodedError, messageOf } from '../../lib/errors.ts';
import { Slots } from '../../lib/slots.ts';
import type { Sysctl } from '../../model/sysctls.ts';
import type { ChangeError, KernelChange } from '../change.ts';
import { namespaceAt } from '../namespace.ts';
import type { PodKernel, PodNamespace, PodSession } from '../port.ts';
import { applySysctls } from '../sysctls.ts';
import { applyChanges } from './apply.ts';
import { inNamespace } from './namespace.ts';
import { linkNames, readLink } from './observe.ts';
import { NETLINK_ROUTE } from './socket.ts';
import { Sockets } from './sockets.ts';

/** Deletions at a time: each occupies a thread of libuv's pool, which has four by default. */
const MAX_DELETIONS = 3;

/** `host`: sockets of its own, so that pods do not wait for other changes. `netns`: file of its namespace. */
export function podKernel(host: Sockets, netns?: string): PodKernel {
  const deletions = new Slots(MAX_DELETIONS);
  return {
    namespaceAt,
    openSession: () => new NetlinkPodSession(host),
    enter: (path, sysctls) => new NetlinkPodNamespace(path, sysctls),
    applySysctls: (sysctls) => applySysctls(sysctls),
    silenceVeth: (name) => silenceVeth(netns, name),
    deleteVeth: (name) => deletions.run(() => deleteVeth(netns, name)),
    vethNames: () => linkNames(host, 'veth'),
  };
}

class NetlinkPodSession implements PodSession {
  readonly #host: Sockets;
  /** Of the links that this session added, by name. Bounded by the links of one pod. */
  readonly #indexes = new Map<string, number>();

  constructor(host: Sockets) {
    this.#host = host;
  }

  async apply(changes: readonly KernelChange[]): Promise<readonly ChangeError[]> {
    for (const change of changes)
      if (change.object === 'link' && change.verb === 'add' && change.index !== undefined)
        this.#indexes.set(change.name, change.index);
    return applyChanges(this.#host, changes, this.#indexes);
  }
}

class NetlinkPodNamespace implements PodNamespace {
  readonly #sockets: Sockets;
  /** Why the namespace could not be entered. */
  readonly #failure: string | undefined;

  constructor(netns: string, sysctls: readonly Sysctl[]) {
    this.#sockets = new Sockets(NETLINK_ROUTE, netns);
    try {
      this.#sockets.open();
      const problems = inNamespace(netns, () => applySysctls(sysctls));
      if (problems.length > 0) throw new Error(problems.join('; '));
    } catch (error) {
      this.#failure = messageOf(error);
    }
  }

  async apply(
    changes: readonly KernelChange[],
    indexes: ReadonlyMap<string, number>,
  ): Promise<readonly ChangeError[]> {
    try {
      if (this.#failure !== undefined) throw new CodedError('NETNS', this.#failure);
      return await applyChanges(this.#sockets, changes, indexes);
    } finally {
      this.leave();
    }
  }

  leave(): void {
    this.#sockets.close();
  }
}

/** See PodKernel.silenceVeth. Its own socket lets it pass the changes of other pods. */
async function silenceVeth(netns: string | undefined, name: string): Promise<boolean> {
  const sockets = new Sockets(NETLINK_ROUTE, netns);
  try {
    const found = await readLink(sockets, name);
    if (found?.kind !== 'veth') return true;
    const [error] = await applyChanges(sockets, [{ object: 'link', verb: 'set', name, isUp: false }]);
    return !error || error.code === 'ENODEV';
  } finally {
    sockets.close();
  }
}

/**
 * See PodKernel.deleteVeth. The kernel takes 20 ms to delete a pair, most of it without its lock. So each deletion has
 * its own socket, which lets others pass.
 */
async function deleteVeth(
  netns: string | undefined,
  name: string,
): Promise<{ isGone: boolean; refusal?: string }> {
  const sockets = new Sockets(NETLINK_ROUTE, netns);
  try {
    const found = await readLink(sockets, name);
    if (!found) return { isGone: true };
    if (found.kind !== 'veth') return { isGone: false };
    const [error] = await applyChanges(sockets, [{ object: 'link', verb: 'del', name }]);
    return !error || error.code === 'ENODEV' ? { isGone: true } : { isGone: false, refusal: error.message };
  } finally {
    sockets.close();
  }
}
