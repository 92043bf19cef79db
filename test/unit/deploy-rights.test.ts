/** Rights of deploy/ that are limited to named objects. That each one is used: test/cluster/rights.ts. */
import { expect, it } from 'vitest';
import { grantedRights } from '../helpers/rbac.ts';

it('Secrets, ConfigMaps and the reflector’s Services are granted only by name', () => {
  const limited = grantedRights().filter(
    ({ right }) => /(secrets|configmaps)$/.test(right) || /^cali-reflector .* services$/.test(right),
  );
  const lines = limited.map(({ right, names }) => `${right}: ${names.join(', ')}`);
  expect(lines.sort()).toEqual([
    'cali-node get configmaps: kubeadm-config, kube-proxy',
    'cali-node list secrets: bgp-secrets',
    'cali-node watch secrets: bgp-secrets',
    'cali-reflector list secrets: bgp-secrets',
    'cali-reflector list services: cali-reflector',
    'cali-reflector watch secrets: bgp-secrets',
    'cali-reflector watch services: cali-reflector',
  ]);
});

it('no program has rights to all resources', () => {
  const rights = grantedRights();
  expect(rights.length).toBeGreaterThan(50);
  expect(rights.filter(({ right }) => right.includes('*'))).toEqual([]);
});
