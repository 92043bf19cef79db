/** Configurations of our route reflector, and of BIRD as its second client. */
import { v4 } from '../helpers/exchange.ts';

export const PEER = v4(2);
export const CLIENT = v4(3);
/** The prefix that BIRD, the second client, announces. */
export const fromClient = '172.30.0.0/24';

export const documents = (peer: object, more: readonly object[] = [], client: object = {}) =>
  JSON.stringify([
    {
      apiVersion: 'projectcalico.org/v3',
      kind: 'BGPConfiguration',
      metadata: { name: 'default' },
      spec: { asNumber: 64512, routerID: v4(1), routeReflectorClusterID: '1.1.1.1', connectRetryTime: '1s' },
    },
    document('BGPPeer', 'peer', {
      peerIP: PEER,
      asNumber: 64512,
      addressFamilies: ['IPv4', 'IPv6'],
      ...peer,
    }),
    document('BGPPeer', 'client', {
      peerIP: CLIENT,
      asNumber: 64512,
      addressFamilies: ['IPv4', 'IPv6'],
      extendedNextHop: true,
      connectRetryTime: '60s',
      ...client,
    }),
    ...more,
  ])
    // Turns the JSON list into YAML documents.
    .slice(1, -1)
    .replaceAll('},{"apiVersion"', '}\n---\n{"apiVersion"');

export function document(kind: string, name: string, spec: object) {
  return { apiVersion: 'projectcalico.org/v3', kind, metadata: { name }, spec };
}

export const birdClient = (peer: string, as = 64512) => `
log stderr all;
router id ${CLIENT};
protocol device { }
protocol direct { ipv4; }
protocol static own { ipv4; route ${fromClient} blackhole { bgp_community.add((64512,77)); bgp_large_community.add((64512,7,7)); }; }
protocol bgp cali { local ${CLIENT} as ${as}; neighbor ${peer} as 64512; connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export where proto = "own"; next hop self; }; }`;
