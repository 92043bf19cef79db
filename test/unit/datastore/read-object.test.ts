import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { identityOf, readObject } from '../../../datastore/read-object.ts';
import { registry } from '../../../datastore/registry.ts';
import { bgpConfigurationKind } from '../../../datastore/schema/bgp-configuration.ts';
import { bgpFilterKind } from '../../../datastore/schema/bgp-filter.ts';
import { bgpPeerKind } from '../../../datastore/schema/bgp-peer.ts';
import { felixConfigurationKind } from '../../../datastore/schema/cluster.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { ipReservationKind } from '../../../datastore/schema/ipam.ts';
import { kubeControllersConfigurationKind } from '../../../datastore/schema/kube-controllers.ts';
import type { ResourceDefinition } from '../../../datastore/schema/resource.ts';
import { parseSelector } from '../../../lib/selector.ts';

const object = ({ kind }: ResourceDefinition, spec: unknown, name = 'default') => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: { name, resourceVersion: '7' },
  spec,
});
const configuration = (spec: unknown) => object(bgpConfigurationKind, spec);

describe('an object from the API', () => {
  it('is read without a problem when it is valid', () => {
    const { object: read, problem } = readObject(bgpConfigurationKind, configuration({ asNumber: '1.2' }));
    expect(problem).toBeUndefined();
    expect(read?.spec.asNumber).toBe(65538);
  });

  it('keeps its previous version when a field without a fallback is invalid, and the problem names the field', () => {
    const former = readObject(bgpConfigurationKind, configuration({ asNumber: 65001 })).object;
    const read = readObject(bgpConfigurationKind, configuration({ asNumber: 'x' }), former);
    expect(read.object).toBe(former);
    expect(read.problem?.field).toBe('spec.asNumber');
    expect(read.problem?.reason).toMatch(/^must be an AS number: .*; its previous version stays in force$/);
  });

  it('is not used without a required field, and the problem names the field', () => {
    expect(readObject(ipPoolKind, object(ipPoolKind, {})).problem).toEqual({
      field: 'spec.cidr',
      reason: 'is required; the object is ignored',
    });
    expect(
      readObject(ipPoolKind, object(ipPoolKind, { cidr: '10.9.0.0/16', disabled: 'no' })).problem?.reason,
    ).toMatch(/^must be true or false, not a string; /);
  });

  it('never falls back to AS number 64512: without a previous version none of it is used', () => {
    const read = readObject(bgpConfigurationKind, configuration({ asNumber: 'x' }));
    expect(read.object).toBeUndefined();
    expect(read.problem?.reason).toMatch(/; the object is ignored$/);
  });

  it('keeps the previous value of one invalid field and uses the new values of the others', () => {
    const former = readObject(
      bgpConfigurationKind,
      configuration({ asNumber: 65001, serviceClusterIPs: [{ cidr: '10.96.0.0/12' }] }),
    ).object;
    const next = configuration({ asNumber: 65002, serviceClusterIPs: [{ cidr: '10.96.0.0/33' }] });
    const { object: read, problem } = readObject(bgpConfigurationKind, next, former);
    expect(read?.spec).toMatchObject({ asNumber: 65002, serviceClusterIPs: [{ cidr: '10.96.0.0/12' }] });
    expect(problem?.field).toBe('spec.serviceClusterIPs[0].cidr');
    expect(problem?.reason).toContain('the field keeps its former value');
  });

  it('loses only the invalid element of a list', () => {
    const lists = [{ cidr: '10.96.0.0/33' }, { cidr: '10.96.0.0/12' }, { cidr: 'x' }];
    expect(
      readObject(bgpConfigurationKind, configuration({ serviceClusterIPs: lists, asNumber: 65001 })).object
        ?.spec,
    ).toMatchObject({ asNumber: 65001, serviceClusterIPs: [{ cidr: '10.96.0.0/12' }] });
    expect(
      readObject(ipReservationKind, object(ipReservationKind, { reservedCIDRs: [7, '10.0.0.1'] })).object
        ?.spec.reservedCIDRs,
    ).toEqual(['10.0.0.1']);
  });

  it('rejects every route instead of using an unreadable filter list, because an absent list accepts all', () => {
    const wrong = { exportV4: [{ action: 'Allow' }], importV4: [{ action: 'Accept' }] };
    expect(readObject(bgpFilterKind, object(bgpFilterKind, wrong)).object?.spec).toEqual({
      exportV4: [{ action: 'Reject' }],
      importV4: [{ action: 'Accept' }],
    });
    // Ignoring an unknown condition would widen the rule.
    const widened = { importV4: [{ action: 'Accept', newCondition: 'x' }] };
    expect(readObject(bgpFilterKind, object(bgpFilterKind, widened)).object?.spec.importV4).toEqual([
      { action: 'Reject' },
    ]);
  });

  it('assigns no new address from a pool with an unreadable selector, but the pool stays known', () => {
    const { object: pool } = readObject(
      ipPoolKind,
      object(ipPoolKind, { cidr: '10.1.0.0/16', nodeSelector: 'has(' }),
    );
    expect(pool?.spec.cidr).toBe('10.1.0.0/16');
    const selector = parseSelector(pool!.spec.nodeSelector);
    expect(selector.ok && selector.matches({})).toBe(false);
  });

  it('is absent when it violates a rule across fields that the API server did not enforce', () => {
    const both = { cidr: '10.1.0.0/16', ipipMode: 'Always', vxlanMode: 'Always' };
    const { object: read, problem } = readObject(ipPoolKind, object(ipPoolKind, both));
    expect(read).toBeUndefined();
    expect(problem?.reason).toContain('exclude each other');
    expect(
      readObject(bgpPeerKind, object(bgpPeerKind, { peerIP: '10.0.0.1', asNumber: 1, filters: 7 })).object,
    ).toBeUndefined();
  });

  it('stays in use when the rule that it violates is harmless, and the rule is named', () => {
    const spec = { nodeToNodeMeshEnabled: false, nodeMeshMaxRestartTime: '90s' };
    const { object: read, problem } = readObject(bgpConfigurationKind, configuration(spec));
    expect(read?.spec).toEqual(spec);
    expect(problem?.reason).toBe(
      'has no effect while nodeToNodeMeshEnabled is false: remove it; the object is used unchanged',
    );
  });

  it('loses only a field that this version does not know', () => {
    const { object: read, problem } = readObject(
      bgpPeerKind,
      object(bgpPeerKind, { peerIP: '10.0.0.1', asNumber: 1, later: {} }),
    );
    expect(read?.spec).toEqual({ peerIP: '10.0.0.1', asNumber: 1 });
    expect(problem).toEqual({
      field: 'spec.later',
      reason: 'this version of Cali does not support the field; it is ignored',
    });
  });

  it('loses single parameters when it is a FelixConfiguration', () => {
    const spec = { vxlanPort: 99999, vxlanVNI: 7, mtuIfacePattern: '(', other: 1 };
    expect(readObject(felixConfigurationKind, object(felixConfigurationKind, spec)).object?.spec).toEqual({
      vxlanVNI: 7,
    });
  });

  it('loses unknown fields at any depth when it is a KubeControllersConfiguration', () => {
    const spec = {
      controllers: { node: { leakGracePeriod: '0s', later: 1 }, later: { reconcilerPeriod: '1m' } },
    };
    const { object: read, problem } = readObject(
      kubeControllersConfigurationKind,
      object(kubeControllersConfigurationKind, spec),
    );
    expect(read?.spec.controllers).toEqual({ node: { leakGracePeriod: '0s' } });
    expect(problem?.reason).toBe('this version of Cali does not support the field; it is ignored');
    expect(spec.controllers.node.later).toBe(1);
  });

  it('is at worst absent with a bounded reason, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...registry),
        fc.oneof(
          fc.anything({ withBigInt: true, maxDepth: 5 }),
          fc.record({
            apiVersion: fc.constant('projectcalico.org/v3'),
            kind: fc.constantFrom(...registry.map(({ kind }) => kind)),
            metadata: fc.oneof(fc.record({ name: fc.string() }), fc.anything()),
            spec: fc.anything({ maxDepth: 4 }),
          }),
        ),
        (definition, value) => {
          identityOf(value);
          const { object: read, problem } = readObject(definition, value);
          if (read === undefined) expect(problem).toBeDefined();
          expect((problem?.reason ?? '').length).toBeLessThan(600);
          expect((problem?.field ?? '').length).toBeLessThan(200);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('can be nested a hundred thousand levels deep', () => {
    const deep = JSON.parse(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`) as unknown;
    for (const definition of registry) {
      readObject(definition, { ...object(definition, deep) });
      readObject(definition, { ...object(definition, {}), metadata: { name: 'x', annotations: deep } });
    }
  });
});
