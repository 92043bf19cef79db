import { describe, expect, it } from 'vitest';
import { jsonSchemaOf } from '../../../datastore/json-schema.ts';
import { findKind, registry } from '../../../datastore/registry.ts';
import { CALICO_GROUP } from '../../../datastore/schema/resource.ts';
import { allRules, brokenRules, type JsonSchema, ruleSizes } from '../../helpers/kubernetes-cel.ts';

interface Case {
  readonly kind: string;
  readonly name?: string;
  readonly spec: object;
  readonly old?: object;
}

const pool = (spec: object, old?: object): Case => ({ kind: 'IPPool', spec, ...(old ? { old } : {}) });
const peer = (spec: object): Case => ({ kind: 'BGPPeer', spec });
const configuration = (spec: object, name = 'default'): Case => ({ kind: 'BGPConfiguration', name, spec });
const felix = (spec: object): Case => ({ kind: 'FelixConfiguration', spec });
const filter = (rule: object): Case => ({ kind: 'BGPFilter', spec: { exportV4: [rule] } });

const good: Case[] = [
  pool({ cidr: '10.0.0.0/16' }),
  pool({ cidr: '10.0.0.0/16', ipipMode: 'Always', vxlanMode: 'Never' }),
  pool({ cidr: 'fd00::/48', vxlanMode: 'Always', blockSize: 116 }),
  pool({ cidr: '10.0.0.0/16', blockSize: 26, natOutgoing: true }, { cidr: '10.0.0.0/16', blockSize: 26 }),
  pool({ cidr: '10.0.0.0/28', disabled: true }),
  pool({ cidr: '10.0.0.0/28', blockSize: 28, allowedUses: ['LoadBalancer'] }),
  ...['10.0.0.1', '10.0.0.1:1790', 'fd00::1', '[fd00::1]:1790', 'fe80::1%eth0'].map((peerIP) =>
    peer({ peerIP, asNumber: 64512 }),
  ),
  peer({ nodeSelector: 'all()', peerSelector: "rr == 'true'", peerIP: '' }),
  peer({ localWorkloadSelector: 'all()', asNumber: '1.10' }),
  peer({ peerIP: '10.0.0.1' }),
  peer({ peerIP: '10.0.0.1', asNumber: 1, passive: true }),
  peer({ peerCIDR: '10.0.0.0/8', asNumber: 1, holdTime: '0s' }),
  peer({ peerIP: '10.0.0.1:1790', asNumber: 1, reachableBy: '10.1.0.1', holdTime: '1m30s' }),
  peer({ peerIP: 'fd00::1', asNumber: 1, reachableBy: 'fd00::2', keepOriginalNextHop: true }),
  configuration({ asNumber: 64512, holdTime: '9s', serviceClusterIPs: [{ cidr: '10.96.0.0/12' }] }),
  configuration({ listenPort: 1790, localWorkloadPeeringIPV4: '169.254.1.2' }, 'node.a'),
  configuration({ serviceClusterIPs: [{ cidr: '10.96.0.7' }, { cidr: 'fd00::7' }] }),
  pool({ cidr: '10.0.0.0/16', blockSize: 0, namespaceSelector: "team == 'a'" }),
  pool({ cidr: '10.0.0.0/16', allowedUses: ['Workload'], namespaceSelector: "team == 'a'" }),
  pool({ cidr: '10.0.0.0/16', allowedUses: ['LoadBalancer'], nodeSelector: 'all()', ipipMode: 'Never' }),
  felix({ natPortRange: 32000, natOutgoingAddress: '192.0.2.1', deviceRouteSourceAddressIPv6: 'fd00::1' }),
  felix({ natPortRange: '32000:60999', natOutgoingAddress: '', routeTableRange: { min: 1, max: 250 } }),
  felix({ deviceRouteProtocol: 80, featureDetectOverride: 'A=true,B=false,C=' }),
  filter({ action: 'Accept' }),
  filter({ action: 'Accept', cidr: '10.0.0.0/8', matchOperator: 'In', prefixLength: { min: 9 } }),
  filter({ action: 'Accept', operations: [{ setPriority: { value: 1 } }] }),
  { kind: 'IPAMConfiguration', spec: { strictAffinity: true, autoAllocateBlocks: false } },
  { kind: 'IPAMConfiguration', spec: {} },
  { kind: 'IPReservation', spec: { reservedCIDRs: ['10.0.0.7', 'fd00::/64'] } },
];

/** Objects with one fault each. */
const bad: Case[] = [
  pool({ cidr: '10.0.0.0/33' }),
  pool({ cidr: '10.0.0.0' }),
  pool({ cidr: '10.0.0.1/16' }),
  pool({ cidr: '169.254.0.0/17' }),
  pool({ cidr: 'fe00::/8' }),
  pool({ cidr: '10.0.0.0/16', blockSize: 19 }),
  pool({ cidr: 'fd00::/48', blockSize: 64 }),
  pool({ cidr: '10.0.0.0/28' }),
  pool({ cidr: '10.0.0.0/16', ipipMode: 'Always', vxlanMode: 'CrossSubnet' }),
  pool({ cidr: 'fd00::/48', ipipMode: 'Always' }),
  pool({ cidr: '10.0.0.0/16', allowedUses: ['Workload', 'LoadBalancer'] }),
  pool({ cidr: '10.0.0.0/16', allowedUses: ['LoadBalancer'], disableBGPExport: true }),
  pool({ cidr: '10.0.0.0/16', allowedUses: ['LoadBalancer'], vxlanMode: 'Always' }),
  pool({ cidr: '10.0.0.0/16', allowedUses: ['LoadBalancer'], nodeSelector: 'has(x)' }),
  pool({ cidr: '10.0.0.0/16', allowedUses: ['Workload', 'Tunnel'], namespaceSelector: 'has(x)' }),
  ...['fd00::1', '10.0.0.256', '10.0.0.0/24'].map((natOutgoingAddress) => felix({ natOutgoingAddress })),
  felix({ deviceRouteSourceAddress: 'fd00::1' }),
  felix({ deviceRouteSourceAddressIPv6: '10.0.0.1' }),
  felix({ routeTableRange: { min: 1, max: 9 }, routeTableRanges: [{ min: 1, max: 9 }] }),
  pool({ cidr: '10.1.0.0/16' }, { cidr: '10.0.0.0/16' }),
  pool({ cidr: '10.0.0.0/16', blockSize: 27 }, { cidr: '10.0.0.0/16', blockSize: 26 }),
  peer({ node: 'a', nodeSelector: 'all()', peerIP: '10.0.0.1', asNumber: 1 }),
  peer({ peerIP: '10.0.0.1', peerSelector: 'all()' }),
  peer({ peerSelector: 'all()', asNumber: 1 }),
  peer({ peerSelector: 'all()', passive: true }),
  peer({ peerCIDR: '10.0.0.0/8' }),
  peer({ peerIP: '10.0.0.1', peerCIDR: '10.0.0.0/8', asNumber: 1 }),
  peer({ peerSelector: 'all()', peerCIDR: '10.0.0.0/8' }),
  peer({ peerIP: '10.0.0.1', localWorkloadSelector: 'all()', asNumber: 1 }),
  peer({ peerSelector: 'all()', localWorkloadSelector: 'all()' }),
  peer({ node: 'a' }),
  peer({ localWorkloadSelector: 'all()' }),
  ...['10.0.0.1:', '10.0.0:179', '[fd00::1', '[10.0.0]:179', 'fd00::1%eth0', 'fe80::1%e/0', 'router'].map(
    (peerIP) => peer({ peerIP, asNumber: 1 }),
  ),
  peer({ peerIP: '10.0.0.1', asNumber: 1, nextHopMode: 'Self', keepOriginalNextHop: true }),
  peer({ peerCIDR: '10.0.0.0/8', asNumber: 1, reachableBy: '10.0.0.1' }),
  peer({ peerIP: '10.0.0.1', asNumber: 1, reachableBy: 'fd00::1' }),
  peer({ peerIP: '10.0.0.1', asNumber: 1, reachableBy: '10.0.0.256' }),
  peer({ peerIP: '10.0.0.1', asNumber: 1, holdTime: '2s' }),
  peer({ peerCIDR: '10.0.0.0', asNumber: 1 }),
  configuration({}, 'other'),
  configuration({ holdTime: '18h13m' }),
  configuration({ serviceExternalIPs: [{ cidr: '10.0.0.0/16' }, { cidr: '10.0.0.300/32' }] }),
  configuration({ localWorkloadPeeringIPV6: 'fd00::g' }),
  configuration({ localWorkloadPeeringIPV6: '169.254.1.2' }),
  configuration({ localWorkloadPeeringIPV4: 'fd00::1' }),
  felix({ deviceRouteProtocol: 2 }),
  felix({ deviceRouteProtocol: 162 }),
  filter({ action: 'Accept', cidr: '10.0.0.0/8' }),
  filter({ action: 'Accept', matchOperator: 'In' }),
  filter({ action: 'Accept', prefixLength: { min: 9 } }),
  filter({ action: 'Reject', operations: [{ setPriority: { value: 1 } }] }),
  filter({ action: 'Accept', operations: [{}] }),
  filter({ action: 'Accept', cidr: '10.0.0.0/64', matchOperator: 'In' }),
  { kind: 'IPReservation', spec: { reservedCIDRs: ['10.0.0.7', '10.0.1.0/33'] } },
  { kind: 'IPAMConfiguration', name: 'other', spec: {} },
  { kind: 'IPAMConfiguration', spec: { autoAllocateBlocks: false } },
];

const object = ({ kind, name = 'default' }: Case, spec: object) => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: { name },
  spec,
});
const schemaOf = (kind: string) => jsonSchemaOf(findKind(kind)!) as JsonSchema;

/** Returns the messages of the CEL rules that an object breaks. */
function broken(one: Case): string[] {
  return brokenRules(schemaOf(one.kind), object(one, one.spec), one.old && object(one, one.old));
}

/** Whether our own validation refuses an object. */
function refused(one: Case): boolean {
  const definition = findKind(one.kind)!;
  const parsed = definition.schema.safeParse(object(one, one.spec));
  if (!parsed.success) return true;
  const before = one.old && definition.schema.parse(object(one, one.old));
  return (definition.validate?.(parsed.data, before, { list: () => [] }) ?? []).length > 0;
}

describe('CEL rules of the CRDs', () => {
  it.each(good)('accept $kind $name $spec, and so does our own validation', (one) => {
    expect(broken(one)).toEqual([]);
    expect(refused(one)).toBe(false);
  });

  it.each(bad)('refuse $kind $name $spec, and so does our own validation', (one) => {
    expect(broken(one)).not.toEqual([]);
    expect(refused(one)).toBe(true);
  });

  it('have bounded lists, so their estimated cost fits the API server’s limit', () => {
    // The API server refuses a CRD if it estimates that a rule, or all rules together, may cost too much.
    for (const { kind } of registry.filter(({ group }) => group === CALICO_GROUP)) {
      const sizes = ruleSizes(schemaOf(kind), 1);
      expect([kind, sizes.filter((size) => size > 50_000)]).toEqual([kind, []]);
      expect([kind, sizes.reduce((sum, size) => sum + size, 0) <= 300_000]).toEqual([kind, true]);
    }
  });

  it('are each broken by one of the objects above', () => {
    const all = registry
      .filter(({ group }) => group === CALICO_GROUP)
      .flatMap(({ kind }) => allRules(schemaOf(kind)));
    expect(new Set(bad.flatMap(broken))).toEqual(new Set(all.map(({ message }) => message)));
  });
});
