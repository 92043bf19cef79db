/** The veth of a pod, both sides (Calico reference 4.3). */
import { randomInt } from 'node:crypto';
import { access } from 'node:fs/promises';
import { applySysctls, interfaceSysctls } from '../felix/dataplane/sysctls.ts';
import { type Endpoint, HOST_LINK_LOCAL, HOST_MAC, IPV4_GATEWAY } from '../felix/endpoint.ts';
import { type Family, familyOf, hostCidr } from '../lib/cidr.ts';
import { run } from '../lib/exec.ts';
import type { IpSession } from './ip-session.ts';
import { CniCode, CniError } from './types.ts';

/** Creates the pair, configures both sides, and installs the host's routes. Throws CniError; leaves nothing behind. */
export async function setUpEndpoint(endpoint: Endpoint, session: IpSession): Promise<void> {
  await access(endpoint.netns).catch((error: unknown) => {
    throw new CniError(
      CniCode.UNKNOWN_CONTAINER,
      `network namespace ${endpoint.netns} does not exist: the container is gone, or CNI_NETNS is wrong`,
      String(error),
    );
  });
  try {
    const index = await createPair(endpoint, session);
    const host = configureHost(endpoint, index, session);
    const inside = configureInside(endpoint);
    await Promise.all([host, inside]);
  } catch (error) {
    await tearDownEndpoint(endpoint.interfaceName);
    throw error;
  }
}

/** Removes the pair by its host side. True when it was there. */
export async function tearDownEndpoint(interfaceName: string): Promise<boolean> {
  const result = await run('ip', ['link', 'del', 'dev', interfaceName]);
  if (result.ok || /Cannot find device/.test(result.stderr)) return result.ok;
  throw new CniError(CniCode.NETWORK_SETUP, `interface ${interfaceName} cannot be removed: ${result.stderr}`);
}

/** Index of the host side. It is chosen here, so that later commands need not ask for it. */
async function createPair(endpoint: Endpoint, session: IpSession): Promise<number> {
  const { interfaceName, containerInterface, mac, mtu, netns } = endpoint;
  const index = randomInt(1 << 20, 1 << 30);
  const create =
    `link add name ${interfaceName} index ${index} address ${HOST_MAC} mtu ${mtu} type veth ` +
    `peer name ${containerInterface} address ${mac} mtu ${mtu} netns ${netns}`;
  let [error] = await session.run([create]);
  if (error && /File exists/.test(error.message)) {
    // Left by an ADD that died, or by a former container of this pod (Calico C-020). The message is the same
    // when the name is taken inside the pod: then nothing is there to remove, and the second try says so.
    await tearDownEndpoint(interfaceName);
    [error] = await session.run([create]);
  }
  if (error) {
    throw new CniError(CniCode.NETWORK_SETUP, `veth ${interfaceName} to ${containerInterface} in ${netns}: ${error.message}`);
  }
  return index;
}

async function configureHost({ interfaceName, addresses, mac }: Endpoint, index: number, session: IpSession): Promise<void> {
  const families = [...new Set(addresses.map(familyOf))];
  const early = families.includes(6)
    ? [{ path: `net/ipv6/conf/${interfaceName}/disable_ipv6`, value: '0' }, { path: `net/ipv6/conf/${interfaceName}/accept_dad`, value: '0' }]
    : [];
  const problems = await applySysctls([...early, ...interfaceSysctls(interfaceName, families)]);
  if (problems.length > 0) throw new CniError(CniCode.NETWORK_SETUP, problems.join('; '));
  const device = `if${index}`;
  const errors = await session.run([
    `link set dev ${device} up`,
    ...addresses.map((address) => `neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`),
    ...addresses.map((address) => {
      const scope = familyOf(address) === 4 ? ' scope link' : '';
      return `route replace ${hostCidr(address)} dev ${device}${scope} proto 80`;
    }),
  ]);
  if (errors[0]) throw new CniError(CniCode.NETWORK_SETUP, `ip ${errors[0].command}: ${errors[0].message}`);
}

/** Addresses and routes inside the pod: one process in its namespace. */
async function configureInside({ containerInterface: name, addresses, netns }: Endpoint): Promise<void> {
  const families = [...new Set(addresses.map(familyOf))];
  const commands = [
    'link set dev lo up',
    ...addresses.map((address) => `addr add ${hostCidr(address)} dev ${name}${familyOf(address) === 6 ? ' nodad' : ''}`),
    `link set dev ${name} up`,
    ...families.flatMap((family) => insideRoutes(family, name)),
  ];
  const switches = families.includes(6)
    ? 'echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding;'
    : '';
  const script = `echo 0 >/proc/sys/net/ipv4/ip_forward; ${switches} exec ip -batch -`;
  const result = await run('nsenter', [`--net=${netns}`, 'sh', '-c', script], { input: `${commands.join('\n')}\n` });
  if (!result.ok) {
    throw new CniError(CniCode.NETWORK_SETUP, `inside ${netns}: ${result.stderr.trim() || `exit ${result.code}`}`);
  }
}

function insideRoutes(family: Family, name: string): string[] {
  if (family === 6) return [`route add default via ${HOST_LINK_LOCAL} dev ${name}`];
  return [`route add ${IPV4_GATEWAY} dev ${name} scope link`, `route add default via ${IPV4_GATEWAY} dev ${name}`];
}
