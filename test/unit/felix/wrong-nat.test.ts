import { expect, it } from 'vitest';
import { readObject } from '../../../datastore/read-object.ts';
import { felixConfigurationKind } from '../../../datastore/schema/cluster.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { filterSettings } from '../../../felix/calc/filter-settings.ts';
import { natTable } from '../../../felix/calc/nat.ts';

const pool = ipPoolKind.schema.parse({
  apiVersion: 'projectcalico.org/v3',
  kind: 'IPPool',
  metadata: { name: 'p' },
  spec: { cidr: '10.244.0.0/16', natOutgoing: true },
});
const stored = (spec: object) => ({
  apiVersion: 'projectcalico.org/v3',
  kind: 'FelixConfiguration',
  metadata: { name: 'default' },
  spec,
});
const masquerading = (spec: object) => {
  const reading = readObject(felixConfigurationKind, stored(spec));
  const { settings } = filterSettings(reading.object!.spec);
  const chains = natTable({ pools: [pool], tunnels: [], settings }).chains;
  return { reading, rules: chains.flatMap(({ rules }) => rules) };
};

it('an invalid NAT value that a server stored affects only itself, and the rest of the table is correct', () => {
  const { reading, rules } = masquerading({
    natOutgoingAddress: 'fd00::1',
    natPortRange: '60000:50000',
    natOutgoingExclusions: 'IPPoolsAndHostIPs',
    vxlanPort: 4790,
  });
  expect(reading.problem).toEqual({
    field: 'spec.natOutgoingAddress',
    reason: 'must be an IPv4 address of a host; the default is used instead',
  });
  expect(reading.object?.spec).toEqual({ natOutgoingExclusions: 'IPPoolsAndHostIPs', vxlanPort: 4790 });
  expect(rules).toEqual([
    'ip saddr @masquerade4 ip daddr != @pools4 ip daddr != @encapsulators4 masquerade fully-random',
  ]);
});

it('valid NAT values are used', () => {
  expect(masquerading({ natOutgoingAddress: '192.0.2.1', natPortRange: '32000:60999' }).rules).toEqual([
    'ip saddr @masquerade4 ip daddr != @pools4 meta l4proto { tcp, udp } snat ip to 192.0.2.1:32000-60999 fully-random',
    'ip saddr @masquerade4 ip daddr != @pools4 snat ip to 192.0.2.1 fully-random',
  ]);
});
