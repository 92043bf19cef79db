import { describe, expect, it } from 'vitest';
import { parseDocuments } from '../../../datastore/documents.ts';
import { jsonSchemaOf } from '../../../datastore/json-schema.ts';
import { registry } from '../../../datastore/registry.ts';
import { felixConfigurationKind } from '../../../datastore/schema/cluster.ts';
import { ipamConfigurationKind } from '../../../datastore/schema/ipam.ts';
import { kubeControllersConfigurationKind } from '../../../datastore/schema/kube-controllers.ts';
import type { ResourceDefinition } from '../../../datastore/schema/resource.ts';
import { describeNotice, noticesOf } from '../../../datastore/schema/without-effect.ts';
import { describeUnknownField } from '../../../datastore/validate.ts';
import { nearest } from '../../../lib/nearest.ts';

const notices = (definition: Pick<ResourceDefinition, 'withoutEffect'>, spec: object) =>
  noticesOf(definition, { spec }).map(describeNotice);

describe('a field that Cali accepts but does not act on', () => {
  it('is reported with what Cali does instead', () => {
    expect(notices(felixConfigurationKind, { wireguardEnabled: true, vxlanPort: 4790 })).toEqual([
      'spec.wireguardEnabled has no effect: Cali does not encrypt: packets between nodes travel in clear text',
    ]);
    expect(notices(ipamConfigurationKind, { ipCooldownSeconds: 60 })).toEqual([
      'spec.ipCooldownSeconds has no effect: Cali reuses a freed address after all other free addresses of its block',
    ]);
    const controllers = {
      node: { hostEndpoint: { autoCreate: 'Enabled' } },
      policy: { reconcilerPeriod: '5m0s' },
    };
    expect(notices(kubeControllersConfigurationKind, { controllers })).toEqual([
      'spec.controllers.node.hostEndpoint.autoCreate has no effect: Cali enforces no network policy',
    ]);
  });

  it('is not reported when it is empty or asks for what Cali does anyway', () => {
    const calicosOwnDefault = {
      bpfLogLevel: '',
      bpfEnabled: false,
      floatingIPs: 'Disabled',
      reportingInterval: '0s',
      defaultEndpointToHostAction: 'ACCEPT',
      wireguardEnabled: false,
      healthTimeoutOverrides: [],
    };
    expect(notices(felixConfigurationKind, calicosOwnDefault)).toEqual([]);
    expect(noticesOf(felixConfigurationKind, { spec: null })).toEqual([]);
    expect(noticesOf(felixConfigurationKind, undefined)).toEqual([]);
  });

  const inert = registry.flatMap((definition) =>
    Object.keys(definition.withoutEffect ?? {}).map((path) => ({ definition, path, kind: definition.kind })),
  );
  it.each(inert)('exists in the schema: $kind $path', ({ definition, path }) => {
    const at = `spec.${path}`.split('.').reduce<unknown>((schema, part) => {
      const { properties } = schema as { properties?: Record<string, unknown> };
      return properties?.[part];
    }, jsonSchemaOf(definition));
    expect(at).toHaveProperty('description');
  });
});

describe('a misspelt field', () => {
  const suggestion = (path: string) =>
    describeUnknownField(felixConfigurationKind as unknown as ResourceDefinition, path);

  it('is refused with a suggestion', () => {
    const text = JSON.stringify({
      apiVersion: 'projectcalico.org/v3',
      kind: 'FelixConfiguration',
      metadata: { name: 'default' },
      spec: { wireguardEnable: true, vxlanport: 4790, frobnicate: 1 },
    });
    expect(() => parseDocuments(text, 'f.yaml')).toThrow(
      'FelixConfiguration default: unknown field "spec.wireguardEnable": did you mean "wireguardEnabled"?, unknown field "spec.vxlanport": did you mean "vxlanPort"?, unknown field "spec.frobnicate"',
    );
  });

  it('is compared with its neighbours below the spec and in lists', () => {
    expect(suggestion('spec.bpfConntrackTimeouts.tcpSynSend')).toContain('"tcpSynSent"');
    expect(suggestion('spec.failsafeInboundHostPorts[0].protocl')).toContain('"protocol"');
    expect(suggestion('specs')).toContain('"spec"');
    expect(suggestion('spec.nowhere.at.all')).toBe('unknown field "spec.nowhere.at.all"');
  });

  it('is matched by edit distance', () => {
    expect(nearest('ipPol', ['ippool', 'blocks'])).toBe('ippool');
    expect(nearest('swpa', ['swap', 'span'])).toBe('swap');
    expect(nearest('a', ['bcd'])).toBeUndefined();
    expect(nearest('x'.repeat(1_000_000), ['x'])).toBeUndefined();
    expect(nearest('mtu', [])).toBeUndefined();
  });
});
