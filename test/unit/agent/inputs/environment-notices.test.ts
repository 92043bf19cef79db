import { expect, it } from 'vitest';
import { environmentNotices } from '../../../../agent/inputs/environment-notices.ts';

it('variables that Cali does not act on are named, unless they ask for what Cali does anyway', () => {
  const calicosManifest = {
    FELIX_DEFAULTENDPOINTTOHOSTACTION: 'ACCEPT',
    FELIX_IPV6SUPPORT: 'true',
    FELIX_HEALTHENABLED: 'true',
    FELIX_VXLANMTU: '1450',
    FELIX_WIREGUARDENABLED: 'false',
    FELIX_IPV4NORMALROUTEPRIORITY: '1024',
    PATH: '/bin',
  };
  expect(environmentNotices(calicosManifest)).toEqual([]);
  expect(environmentNotices({ FELIX_WIREGUARDENABLED: 'TRUE', FELIX_BPFENABLED: 'true' })).toEqual([
    'FELIX_BPFENABLED has no effect: Cali has no eBPF dataplane',
    'FELIX_WIREGUARDENABLED has no effect: Cali does not encrypt: packets between nodes travel in clear text',
  ]);
});
