/** Formats ADD's result for each CNI version. */

import { familyOf, hostCidr } from '../lib/cidr.ts';
import { type Endpoint, HOST_LINK_LOCAL, HOST_MAC, IPV4_GATEWAY } from '../model/endpoint.ts';

/** Returns the result of an ADD (CNI spec section "Success"). Before version 1.0.0, each address states its family. */
export function resultOf(endpoint: Endpoint, cniVersion: string): object {
  const isOld = cniVersion.startsWith('0.');
  const families = new Set(endpoint.addresses.map(familyOf));
  return {
    cniVersion,
    interfaces: [
      { name: endpoint.interfaceName, mac: HOST_MAC },
      { name: endpoint.containerInterface, mac: endpoint.mac, sandbox: endpoint.netns },
    ],
    ips: endpoint.addresses.map((address) => ({
      ...(isOld ? { version: String(familyOf(address)) } : {}),
      address: hostCidr(address),
      interface: 1,
    })),
    routes: [
      ...(families.has(4) ? [{ dst: '0.0.0.0/0', gw: IPV4_GATEWAY }] : []),
      ...(families.has(6) ? [{ dst: '::/0', gw: HOST_LINK_LOCAL }] : []),
    ],
    dns: {},
  };
}
