/** Creates and removes a pod's veth pair and its addresses, as network-plan.ts plans them. */
import type { ChangeError, RouteChange } from '../kernel/change.ts';
import { renderChange } from '../kernel/change.ts';
import type { Kernel, PodNamespace, PodSession } from '../kernel/port.ts';
import { type Family, familyOf } from '../lib/cidr.ts';
import { messageOf } from '../lib/errors.ts';
import { type Ownership, ownership } from '../model/route-ownership.ts';
import { protocolName } from '../model/route-protocols.ts';
import { podSysctls } from '../model/sysctls.ts';
import {
  hostChanges,
  hostSysctls,
  insideChanges,
  insideIndexes,
  pairChanges,
  type Wiring,
} from './network-plan.ts';
import { CniCode, CniError } from './types.ts';

/** Indexes of pods' interfaces are random and high, so that they differ from those that the kernel assigns. */
const INDEXES = { from: 1 << 20, to: 1 << 30 };

export interface NetworkModules {
  readonly kernel: Pick<Kernel, 'pods' | 'observe'>;
  /** A number from 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  /** Protocol numbers of our routes, and how to recognize these routes. */
  readonly routes: Ownership;
}

/** A veth that is up on the host side, and a pod's namespace that waits for its changes. */
export interface Wire {
  /** Adds addresses and routes inside the pod, and routes to it on the host. Throws CniError. */
  connect(addresses: readonly string[]): Promise<void>;
  /** Removes the veth. */
  discard(): Promise<void>;
}

/** Sets up the part of a pod's network that needs no addresses. On failure, it cleans up and throws CniError. */
export async function layWire(
  wiring: Wiring,
  families: readonly Family[],
  modules: NetworkModules,
): Promise<Wire> {
  const { pods } = modules.kernel;
  const { interfaceName, netns } = wiring;
  assertNamespace(netns, pods);
  // Entering takes as long as creating the veth, so do both at once.
  const inside = pods.enter(netns, podSysctls());
  const discard = async () => {
    inside.leave();
    await tearDownEndpoint(interfaceName, pods);
  };
  try {
    const session = pods.openSession();
    const index = INDEXES.from + Math.floor(modules.random() * (INDEXES.to - INDEXES.from));
    await createPair(wiring, index, session, modules);
    const problems = pods.applySysctls(hostSysctls(interfaceName, families));
    if (problems.length > 0) throw new CniError(CniCode.NETWORK_SETUP, problems.join('; '));
    return {
      discard,
      async connect(addresses) {
        await Promise.all([
          connectHost(wiring, addresses, session, modules),
          connectInside(inside, wiring, index, addresses),
        ]);
      },
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

/** Checks that a path leads to a namespace other than this process's. Throws CniError. */
export function assertNamespace(netns: string, pods: Pick<Kernel['pods'], 'namespaceAt'>): void {
  switch (pods.namespaceAt(netns)) {
    case 'pod':
      return;
    case 'absent':
      throw new CniError(
        CniCode.UNKNOWN_CONTAINER,
        `network namespace ${netns} does not exist: the container is gone, or CNI_NETNS is wrong`,
      );
    case 'no-namespace':
      throw new CniError(
        CniCode.INVALID_ENVIRONMENT,
        `CNI_NETNS ${netns} is not a namespace: the container runtime must pass the file of a network namespace`,
      );
    case 'own':
      throw new CniError(
        CniCode.INVALID_ENVIRONMENT,
        `CNI_NETNS ${netns} is the node's own network namespace: Cali does not connect containers that use the host's network`,
      );
  }
}

/**
 * Removes the pair by its host side. A missing interface is not an error. An interface of this name that is not a veth
 * belongs to another program: it is kept, and the function returns false. Throws CniError when the kernel refuses.
 */
export async function tearDownEndpoint(
  interfaceName: string,
  pods: Pick<Kernel['pods'], 'deleteVeth'>,
): Promise<boolean> {
  const { isGone, refusal } = await pods.deleteVeth(interfaceName);
  if (refusal)
    throw new CniError(CniCode.NETWORK_SETUP, `interface ${interfaceName} cannot be removed: ${refusal}`);
  return isGone;
}

async function createPair(
  wiring: Wiring,
  index: number,
  session: PodSession,
  { kernel }: NetworkModules,
): Promise<void> {
  const { interfaceName, containerInterface, netns } = wiring;
  const changes = pairChanges(wiring, index);
  let [error] = await session.apply(changes);
  if (error?.code === 'EEXIST') {
    // Left by an ADD that died, or by a former container of this pod (Calico C-020). The error is the same when the
    // name is in use inside the pod: then there is nothing to remove, and the second attempt fails too.
    if (!(await tearDownEndpoint(interfaceName, kernel.pods)))
      throw new CniError(
        CniCode.NETWORK_SETUP,
        `interface ${interfaceName} exists and is not Cali's: rename or remove it`,
      );
    [error] = await session.apply(changes);
  }
  if (error) {
    throw new CniError(
      CniCode.NETWORK_SETUP,
      `veth ${interfaceName} to ${containerInterface} in ${netns}: ${error.message}`,
    );
  }
}

/** Adds neighbours and routes. Another program's route is not replaced (Calico C-022). */
async function connectHost(
  wiring: Wiring,
  addresses: readonly string[],
  session: PodSession,
  { kernel, routes }: NetworkModules,
): Promise<void> {
  const errors = await session.apply(hostChanges(wiring, addresses, routes.protocols.local));
  for (const error of errors) {
    const { change, code } = error;
    if (change.object !== 'route' || code !== 'EEXIST') throw setupError(error);
    // Replace our own route: felix was faster, or the address was on another node. Refuse another program's.
    await assertOwnRoute(change, kernel, routes);
    const [failed] = await session.apply([{ ...change, verb: 'replace' }]);
    if (failed) throw setupError(failed);
  }
}

async function assertOwnRoute(
  { destination }: RouteChange,
  kernel: Pick<Kernel, 'observe'>,
  routes: Ownership,
): Promise<void> {
  const state = await kernel.observe([familyOf(destination)]);
  const ownerOf = ownership({ ...routes, ranges: [destination] });
  const foreign = state.routes.find(
    (candidate) => candidate.destination === destination && !ownerOf(candidate),
  );
  if (!foreign) return;
  throw new CniError(
    CniCode.NETWORK_SETUP,
    `another program (proto ${protocolName(foreign.protocol)}) has a route to ${foreign.destination}: remove it, or reserve the address`,
  );
}

async function connectInside(
  inside: PodNamespace,
  wiring: Wiring,
  index: number,
  addresses: readonly string[],
): Promise<void> {
  const { netns } = wiring;
  const errors = await inside
    .apply(insideChanges(wiring, addresses), insideIndexes(wiring, index))
    .catch((error: unknown) => {
      throw new CniError(CniCode.NETWORK_SETUP, `inside ${netns}: ${messageOf(error)}`);
    });
  const [error] = errors;
  if (error) throw setupError(error, `inside ${netns}: `);
}

function setupError({ change, message }: ChangeError, where = ''): CniError {
  return new CniError(CniCode.NETWORK_SETUP, `${where}ip ${renderChange(change)}: ${message}`);
}
