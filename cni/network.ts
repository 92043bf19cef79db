/** Creates and removes a pod's veth pair (Calico reference 4.3). */
import { randomInt } from 'node:crypto';
import { statSync } from 'node:fs';
import type { InsidePool, PodProcess } from '../kernel/inside-pool.ts';
import type { IpSession } from '../kernel/ip-session.ts';
import type { BatchError } from '../kernel/port.ts';
import { observeKernel } from '../kernel/state.ts';
import { applySysctls } from '../kernel/sysctls.ts';
import { deleteVeth } from '../kernel/veth.ts';
import { type Family, familyOf, hostCidr } from '../lib/cidr.ts';
import { type Endpoint, HOST_LINK_LOCAL, HOST_MAC, IPV4_GATEWAY } from '../model/endpoint.ts';
import { type Ownership, ownership } from '../model/route-ownership.ts';
import { protocolName } from '../model/route-protocols.ts';
import { interfaceSysctls } from '../model/sysctls.ts';
import { CniCode, CniError } from './types.ts';

/** An endpoint before its addresses are assigned. */
export type Wiring = Omit<Endpoint, 'addresses'>;

/** A veth that is up on the host side, and a process inside the pod that waits for commands. */
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
  modules: { session: IpSession; inside: InsidePool; routes: Ownership },
): Promise<Wire> {
  const { session, routes } = modules;
  const { interfaceName, netns } = wiring;
  assertNamespace(netns);
  // Entering takes as long as creating the veth, so do both at once.
  const inside = modules.inside.enter(netns);
  const discard = async () => {
    inside.kill('SIGKILL');
    await tearDownEndpoint(interfaceName);
  };
  try {
    const index = await createPair(wiring, session);
    const device = `if${index}`;
    setSwitches(interfaceName, families);
    return {
      discard,
      async connect(addresses) {
        await Promise.all([
          connectHost(wiring, device, addresses, session, routes),
          connectInside(inside, wiring, addresses, families),
        ]);
      },
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

/**
 * Checks that a path leads to a namespace other than this process's. All namespaces are files of one kernel file system
 * (nsfs). Throws CniError.
 */
export function assertNamespace(netns: string): void {
  const found = statSync(netns, { throwIfNoEntry: false });
  if (!found)
    throw new CniError(
      CniCode.UNKNOWN_CONTAINER,
      `network namespace ${netns} does not exist: the container is gone, or CNI_NETNS is wrong`,
    );
  const ours = statSync('/proc/self/ns/net');
  if (found.dev !== ours.dev)
    throw new CniError(
      CniCode.INVALID_ENVIRONMENT,
      `CNI_NETNS ${netns} is not a namespace: the container runtime must pass the file of a network namespace`,
    );
  if (found.ino === ours.ino)
    throw new CniError(
      CniCode.INVALID_ENVIRONMENT,
      `CNI_NETNS ${netns} is the node's own network namespace: Cali does not connect containers that use the host's network`,
    );
}

/**
 * Removes the pair by its host side. A missing interface is not an error. An interface of this name that is not a veth
 * belongs to another program: it is kept, and the function returns false.
 */
export async function tearDownEndpoint(interfaceName: string): Promise<boolean> {
  const { isGone, refusal } = await deleteVeth(interfaceName);
  if (refusal)
    throw new CniError(CniCode.NETWORK_SETUP, `interface ${interfaceName} cannot be removed: ${refusal}`);
  return isGone;
}

/** Creates the pair and returns the index of the host side. Choosing the index here saves a query for it. */
async function createPair(endpoint: Wiring, session: IpSession): Promise<number> {
  const { interfaceName, containerInterface, mac, mtu, netns } = endpoint;
  const index = randomInt(1 << 20, 1 << 30);
  const create =
    `link add name ${interfaceName} index ${index} address ${HOST_MAC} mtu ${mtu} type veth ` +
    `peer name ${containerInterface} address ${mac} mtu ${mtu} netns ${netns}`;
  // By index: the long-lived ip may have cached an earlier interface of the same name.
  const up = `link set dev if${index} up`;
  let [error] = await session.run([create, up]);
  if (error && /File exists/.test(error.message)) {
    // Left by an ADD that died, or by a former container of this pod (Calico C-020). The message is the same when the
    // name is in use inside the pod: then there is nothing to remove, and the second attempt fails too.
    if (!(await tearDownEndpoint(interfaceName)))
      throw new CniError(
        CniCode.NETWORK_SETUP,
        `interface ${interfaceName} exists and is not Cali's: rename or remove it`,
      );
    [error] = await session.run([create, up]);
  }
  if (error) {
    throw new CniError(
      CniCode.NETWORK_SETUP,
      `veth ${interfaceName} to ${containerInterface} in ${netns}: ${error.message}`,
    );
  }
  return index;
}

/** Sets sysctls before the pod's side is up: they apply to the first packet, and no address is tentative (DAD). */
function setSwitches(interfaceName: string, families: readonly Family[]): void {
  const v6 = `net/ipv6/conf/${interfaceName}`;
  const early = families.includes(6)
    ? [
        { path: `${v6}/disable_ipv6`, value: '0' },
        { path: `${v6}/accept_dad`, value: '0' },
      ]
    : [];
  const problems = applySysctls([...early, ...interfaceSysctls(interfaceName, families)]);
  if (problems.length > 0) throw new CniError(CniCode.NETWORK_SETUP, problems.join('; '));
}

/** Adds a permanent neighbour and a route per address. Another program's route is not replaced (Calico C-022). */
async function connectHost(
  { mac }: Wiring,
  device: string,
  addresses: readonly string[],
  session: IpSession,
  routes: Ownership,
): Promise<void> {
  const route = (address: string) => {
    const scope = familyOf(address) === 4 ? ' scope link' : '';
    return `${hostCidr(address)} dev ${device}${scope} proto ${routes.protocols.local}`;
  };
  const errors = await session.run([
    ...addresses.map((address) => `neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`),
    ...addresses.map((address) => `route add ${route(address)}`),
  ]);
  for (const error of errors) {
    const address = addresses.find((candidate) => error.command === `route add ${route(candidate)}`);
    if (!address || !/File exists/.test(error.message)) throw setupError(error);
    // Replace our own route: felix was faster, or the address was on another node. Refuse another program's.
    const kernel = await observeKernel([familyOf(address)]);
    const ownerOf = ownership({ ...routes, ranges: [hostCidr(address)] });
    const foreign = kernel.routes.find(
      (candidate) => candidate.destination === hostCidr(address) && !ownerOf(candidate),
    );
    if (foreign) {
      throw new CniError(
        CniCode.NETWORK_SETUP,
        `another program (proto ${protocolName(foreign.protocol)}) has a route to ${foreign.destination}: remove it, or reserve the address`,
      );
    }
    const [failed] = await session.run([`route replace ${route(address)}`]);
    if (failed) throw setupError(failed);
  }
}

function setupError({ command, message }: BatchError): CniError {
  return new CniError(CniCode.NETWORK_SETUP, `ip ${command}: ${message}`);
}

/** Adds addresses and routes inside the pod. */
async function connectInside(
  inside: PodProcess,
  { containerInterface: name, netns }: Wiring,
  addresses: readonly string[],
  families: readonly Family[],
): Promise<void> {
  const commands = [
    'link set dev lo up',
    ...addresses.map(
      (address) => `addr add ${hostCidr(address)} dev ${name}${familyOf(address) === 6 ? ' nodad' : ''}`,
    ),
    `link set dev ${name} up`,
    ...families
      .filter((family) => addresses.some((address) => familyOf(address) === family))
      .flatMap((family) => insideRoutes(family, name)),
  ];
  let stderr = '';
  inside.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  inside.end(commands);
  const { code } = await inside.exited;
  if (code !== 0)
    throw new CniError(CniCode.NETWORK_SETUP, `inside ${netns}: ${stderr.trim() || `exit ${code}`}`);
}

function insideRoutes(family: Family, name: string): string[] {
  if (family === 6) return [`route add default via ${HOST_LINK_LOCAL} dev ${name}`];
  return [
    `route add ${IPV4_GATEWAY} dev ${name} scope link`,
    `route add default via ${IPV4_GATEWAY} dev ${name}`,
  ];
}
