import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { crdManifests } from '../../../datastore/crd.ts';
import { jsonSchemaOf } from '../../../datastore/json-schema.ts';
import { kubeconfigAddress } from '../../../datastore/kubernetes/kube-config.ts';
import { registry } from '../../../datastore/registry.ts';
import { bgpConfigurationKind } from '../../../datastore/schema/bgp-configuration.ts';
import { bgpFilterKind } from '../../../datastore/schema/bgp-filter.ts';
import { bgpPeerKind } from '../../../datastore/schema/bgp-peer.ts';
import { felixConfigurationKind } from '../../../datastore/schema/cluster.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { ipReservationKind } from '../../../datastore/schema/ipam.ts';
import type { AnyResource, ResourceDefinition } from '../../../datastore/schema/resource.ts';
import { describeInvalid, validateResource } from '../../../datastore/validate.ts';
import type { JsonSchema } from '../../helpers/kubernetes-cel.ts';

const make = (definition: ResourceDefinition, spec: object, name = 'x') => ({
  apiVersion: 'projectcalico.org/v3',
  kind: definition.kind,
  metadata: { name },
  spec,
});
const pools = [
  make(ipPoolKind as unknown as ResourceDefinition, { cidr: '10.244.0.0/16' }, 'first'),
] as unknown as AnyResource[];
const existing = { list: () => pools };
const errorsOf = (definition: unknown, spec: object, name = 'x', old?: AnyResource) => {
  const result = validateResource(
    definition as ResourceDefinition,
    make(definition as ResourceDefinition, spec, name),
    old,
    existing,
  );
  return result.ok ? [] : result.errors.map(({ field, message }) => `${field}: ${message}`);
};

const refusal = (kind: unknown, spec: unknown) => {
  const definition = kind as ResourceDefinition;
  const result = validateResource(definition, make(definition, spec as object));
  return result.ok ? undefined : describeInvalid(definition, 'x', result.errors);
};

describe('validation of input', () => {
  it.each<[string, unknown, object, RegExp]>([
    [
      'a network with prefix length /33',
      ipPoolKind,
      { cidr: '10.0.0.0/33' },
      /^spec\.cidr: "10\.0\.0\.0\/33" is not a network in CIDR notation: .*0 to 32/,
    ],
    ['an address without a prefix length', ipPoolKind, { cidr: '10.0.0.0' }, /^spec\.cidr: .*not a network/],
    ...['60000:50000', '0:9', '1:65536', 'ssh', 0, 65536].map(
      (natPortRange): [string, unknown, object, RegExp] => [
        `a port range of ${natPortRange}`,
        felixConfigurationKind,
        { natPortRange },
        /^spec\.natPortRange: must be (low:high|at least 1$|at most 65535$)/,
      ],
    ),
    [
      'an IPv6 address for IPv4 NAT',
      felixConfigurationKind,
      { natOutgoingAddress: 'fd00::1' },
      /^spec\.natOutgoingAddress: must be an IPv4 address of a host/,
    ],
    [
      'a reservation with prefix length /33',
      ipReservationKind,
      { reservedCIDRs: ['10.0.1.0/33'] },
      /^spec\.reservedCIDRs\[0\]: "10\.0\.1\.0\/33" is neither an address nor a network: write 10\.0\.0\.7, or/,
    ],
    [
      'a reservation of a range',
      ipReservationKind,
      { reservedCIDRs: ['10.0.0.1', '10.0.0.4-10.0.0.9'] },
      /^spec\.reservedCIDRs\[1\]: "10\.0\.0\.4-10\.0\.0\.9" is neither/,
    ],
    ['a network with host bits', ipPoolKind, { cidr: '10.9.0.7/24' }, /write 10\.9\.0\.0\/24/],
    [
      'an overlap with another pool',
      ipPoolKind,
      { cidr: '10.244.7.0/24' },
      /overlaps IPPool first \(10\.244\.0\.0\/16\)/,
    ],
    ['a link-local range', ipPoolKind, { cidr: '169.254.0.0/17' }, /link-local range/],
    [
      'a block larger than the pool',
      ipPoolKind,
      { cidr: '10.9.0.0/28' },
      /a \/26 block is larger than the pool .* use a blockSize of 28 to 32/,
    ],
    [
      'a block with prefix length /19',
      ipPoolKind,
      { cidr: '10.0.0.0/8', blockSize: 19 },
      /must be a prefix length of 20 to 32/,
    ],
    [
      'two encapsulations',
      ipPoolKind,
      { cidr: '10.9.0.0/16', ipipMode: 'Always', vxlanMode: 'Always' },
      /exclude each other/,
    ],
    ['IPIP for IPv6', ipPoolKind, { cidr: 'fd00::/64', ipipMode: 'Always' }, /IPIP carries IPv4 only/],
    [
      'a bad selector',
      ipPoolKind,
      { cidr: '10.9.0.0/16', nodeSelector: 'zone = a' },
      /spec\.nodeSelector: is not a selector/,
    ],
    [
      'AS number 0',
      bgpPeerKind,
      { peerIP: '192.0.2.1', asNumber: 0 },
      /^spec\.asNumber: must be an AS number: 1 to 4294967295/,
    ],
    ['no AS number', bgpPeerKind, { localWorkloadSelector: 'all()' }, /spec\.asNumber: is required/],
    [
      'both node and nodeSelector',
      bgpPeerKind,
      { peerIP: '192.0.2.1', asNumber: 1, node: 'a', nodeSelector: 'all()' },
      /excludes spec\.nodeSelector/,
    ],
    [
      'communities without prefixAdvertisements',
      bgpConfigurationKind,
      { communities: [{ name: 'a', value: '1:2' }] },
      /needs prefixAdvertisements/,
    ],
  ])('refuses %s with the field and the remedy', (_, definition, spec, sentence) => {
    expect(errorsOf(definition, spec)).toContainEqual(expect.stringMatching(sentence));
  });

  it('reports a missing field as required, not as a wrong type', () => {
    expect(errorsOf(ipPoolKind, {})).toEqual(['spec.cidr: is required']);
    const rule = { exportV4: [{ matchOperator: 'In', cidr: '10.0.0.0/8' }] };
    expect(errorsOf(bgpFilterKind, rule)).toEqual(['spec.exportV4[0].action: is required: Accept or Reject']);
    expect(refusal(ipPoolKind, undefined)).toBe('IPPool.projectcalico.org "x" is invalid: spec: is required');
  });

  it('names the type or the values that a field accepts', () => {
    const cidr = '10.9.0.0/16';
    expect(errorsOf(bgpPeerKind, { peerIP: '192.0.2.1', asNumber: true })).toEqual([
      'spec.asNumber: must be a number or a string',
    ]);
    expect(errorsOf(bgpPeerKind, { peerIP: '192.0.2.1', asNumber: 1, reachableBy: 'x' })).toEqual([
      'spec.reachableBy: must be an IP address',
    ]);
    expect(errorsOf(ipPoolKind, { cidr, ipipMode: 'On' })).toEqual([
      'spec.ipipMode: must be Never, Always or CrossSubnet',
    ]);
    expect(errorsOf(ipPoolKind, { cidr, disabled: 'true', blockSize: 26.5 }).sort()).toEqual([
      'spec.blockSize: must be a whole number',
      'spec.disabled: must be true or false, not a string',
    ]);
    expect(refusal(ipPoolKind, { cidr: 10 })).toBe(
      'IPPool.projectcalico.org "x" is invalid: spec.cidr: Invalid value: 10: must be a string, not a number',
    );
  });

  it('reports no fault in the terms of the validator library', () => {
    const values = [
      null,
      true,
      5,
      -1,
      1.5,
      1e20,
      '',
      'x y',
      'x'.repeat(2000),
      [],
      [[]],
      [{}],
      {},
      { 'x y': {} },
    ];
    const sentences = registry.flatMap((definition) => {
      const schema = jsonSchemaOf(definition) as JsonSchema;
      const fields = Object.keys(schema.properties?.['spec']?.properties ?? {});
      return fields.flatMap((field) => values.flatMap((value) => errorsOf(definition, { [field]: value })));
    });
    expect(sentences.length).toBeGreaterThan(1000);
    expect(sentences.filter((sentence) => /: (Invalid|Too|Unrecognized|must match)/.test(sentence))).toEqual(
      [],
    );
  });

  it('checks names and fields that cannot change', () => {
    expect(errorsOf(ipPoolKind, { cidr: '10.9.0.0/16' }, 'Bad_Name')[0]).toMatch(
      /^metadata\.name: must consist of lower case/,
    );
    const [old] = pools;
    const parsed = ipPoolKind.schema.parse(old) as unknown as AnyResource;
    expect(errorsOf(ipPoolKind, { cidr: '10.0.0.0/16' }, 'first', parsed)[0]).toMatch(
      /cannot be changed from 10\.244\.0\.0\/16: create a new pool/,
    );
    expect(errorsOf(bgpConfigurationKind, { asNumber: 1 }, 'node.n1')[0]).toMatch(
      /is cluster-wide: set it on BGPConfiguration default/,
    );
  });

  it('treats an empty spec as absent', () => {
    expect(errorsOf(bgpConfigurationKind, null as unknown as object, 'default')).toEqual([]);
    expect(errorsOf(ipPoolKind, null as unknown as object)).toHaveLength(1);
  });

  it('reports and removes unknown fields', () => {
    const input = make(ipPoolKind as unknown as ResourceDefinition, { cidr: '10.9.0.0/16', frob: 1 });
    const result = validateResource(ipPoolKind as unknown as ResourceDefinition, input);
    expect(result).toMatchObject({ ok: true, unknownFields: ['spec.frob'] });
    expect(result.ok && 'frob' in (result.object['spec'] as object)).toBe(false);
  });

  it('refuses an unreadable kubeconfig with the remedy', () => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'cali-kubeconfig-'));
    const file = path.join(directory, 'config');
    expect(() => kubeconfigAddress(file)).toThrow(/kubeconfig .*config: cannot be read: .*Set KUBECONFIG/);
    writeFileSync(file, '{ not yaml');
    expect(() => kubeconfigAddress(file)).toThrow(/cannot be read/);
    writeFileSync(file, 'apiVersion: v1\nkind: Config\ncurrent-context: nowhere\n');
    expect(() => kubeconfigAddress(file)).toThrow(
      /current-context "nowhere" names no cluster with a server URL/,
    );
    rmSync(directory, { recursive: true });
  });
});

describe('schemas', () => {
  it('read AS numbers in both notations', () => {
    const parse = (asNumber: unknown) =>
      bgpPeerKind.schema.parse(
        make(bgpPeerKind as unknown as ResourceDefinition, { peerIP: '192.0.2.1', asNumber }),
      ).spec.asNumber;
    expect([parse(65001), parse('65001'), parse('1.10')]).toEqual([65001, 65001, 65546]);
  });

  it('limit durations to those of Go and of the wire', () => {
    const peer = { peerIP: '10.0.0.1', asNumber: 64512 };
    const errors = (spec: object) => errorsOf(bgpPeerKind, { ...peer, ...spec });
    expect(errors({ longLivedRestartTime: '16777215s', connectRetryTime: '600h' })).toEqual([]);
    expect(errors({ longLivedRestartTime: '16777216s' })).toEqual([
      'spec.longLivedRestartTime: must be at most 16777215s',
    ]);
    expect(errors({ connectRetryTime: '9999999h' })).toEqual([
      'spec.connectRetryTime: must be shorter than 292 years',
    ]);
    expect(errors({ connectRetryTime: '1ms', keepaliveTime: '0s' }).sort()).toEqual([
      'spec.connectRetryTime: must be at least 1s',
      'spec.keepaliveTime: must be at least 1s',
    ]);
    expect(errors({ bfd: { transmitInterval: '1ms', receiveInterval: '10000h' } }).sort()).toEqual([
      'spec.bfd.receiveInterval: must be between 10ms and 1h',
      'spec.bfd.transmitInterval: must be between 10ms and 1h',
    ]);
  });

  it.each(['127.5.0.0/16', '224.0.0.0/16', '::ffff:10.0.0.0/112', 'ff05::/64'])(
    'refuse an IPPool %s, because no pod can use its addresses',
    (cidr) => {
      expect(errorsOf(ipPoolKind, { cidr })).toContainEqual(
        expect.stringMatching(/^spec\.cidr: is in a range that no pod can use/),
      );
    },
  );

  it('require BGP identifiers and cluster IDs to be IPv4 addresses other than 0.0.0.0', () => {
    const errors = (text: string) =>
      errorsOf(bgpConfigurationKind, { routerID: text, routeReflectorClusterID: text }, 'default');
    expect(errors('10.0.0.1')).toEqual([]);
    for (const text of ['fd00::1', '0.0.0.0'])
      expect(errors(text)).toEqual(
        ['routerID', 'routeReflectorClusterID'].map(
          (field) => `spec.${field}: must be an IPv4 address other than 0.0.0.0`,
        ),
      );
  });

  it.each<[string, unknown, object, RegExp]>([
    ...['foo', 'A=b', 'A=true;B=false', 'A=true, B=false', '=true'].map(
      (featureDetectOverride): [string, unknown, object, RegExp] => [
        `featureDetectOverride "${featureDetectOverride}"`,
        felixConfigurationKind,
        { featureDetectOverride },
        /^spec\.featureDetectOverride: must be a list such as ChecksumOffloadBroken=true,Other=false$/,
      ],
    ),
    ...[1, 2, 3, 4, 9, 16].map((deviceRouteProtocol): [string, unknown, object, RegExp] => [
      `the host's protocol number ${deviceRouteProtocol}`,
      felixConfigurationKind,
      { deviceRouteProtocol },
      /^spec\.deviceRouteProtocol: is \w+, which marks routes of the host itself: choose another number$/,
    ]),
    [
      'the protocol number of BGP routes for pods',
      felixConfigurationKind,
      { deviceRouteProtocol: 162 },
      /^spec\.deviceRouteProtocol: marks routes learned by BGP: choose another number$/,
    ],
    [
      'an IPv6 address as localWorkloadPeeringIPV4',
      bgpConfigurationKind,
      { localWorkloadPeeringIPV4: 'fd00::1' },
      /^spec\.localWorkloadPeeringIPV4: must be an IPv4 address$/,
    ],
    [
      'an IPv4 address as localWorkloadPeeringIPV6',
      bgpConfigurationKind,
      { localWorkloadPeeringIPV6: '169.254.1.1' },
      /^spec\.localWorkloadPeeringIPV6: must be an IPv6 address$/,
    ],
    ...(['name', 'key'] as const).map((field): [string, unknown, object, RegExp] => [
      `an empty ${field} of a Secret`,
      bgpPeerKind,
      {
        peerIP: '192.0.2.1',
        asNumber: 1,
        password: { secretKeyRef: { name: 'bgp-secrets', key: 'tor', [field]: '' } },
      },
      new RegExp(`^spec\\.password\\.secretKeyRef\\.${field}: must not be empty$`),
    ]),
  ])('refuse %s', (_, definition, spec, sentence) => {
    expect(errorsOf(definition, spec, 'default')).toEqual([expect.stringMatching(sentence)]);
  });

  it('accept every form of featureDetectOverride that Calico accepts', () => {
    for (const featureDetectOverride of ['', 'A=true', 'A=true,B-c_1=false', 'A=', 'A=,B=true,'])
      expect(errorsOf(felixConfigurationKind, { featureDetectOverride }, 'default')).toEqual([]);
  });

  it('have Calico’s defaults', () => {
    expect(
      ipPoolKind.schema.parse(make(ipPoolKind as unknown as ResourceDefinition, { cidr: '10.9.0.0/16' }))
        .spec,
    ).toEqual({
      cidr: '10.9.0.0/16',
      ipipMode: 'Never',
      vxlanMode: 'Never',
      natOutgoing: false,
      disabled: false,
      disableBGPExport: false,
      nodeSelector: 'all()',
      allowedUses: ['Workload', 'Tunnel'],
      assignmentMode: 'Automatic',
    });
  });

  it('generate a CRD for every Calico kind, with its columns and a structural schema', () => {
    const manifests = crdManifests();
    expect(manifests).toHaveLength(registry.filter(({ group }) => group === 'projectcalico.org').length);
    const pool = manifests.find(({ file }) => file.includes('ippools'))!.text;
    expect(pool).toMatch(/jsonPath: \.spec\.cidr/);
    expect(pool).toMatch(/ipipMode:\n +default: Never\n/);
    // Empty `properties`: the API server drops them, so every `kubectl apply` would find a difference.
    for (const { text } of manifests)
      expect(text).not.toMatch(/additionalProperties: false|\$schema|9007199254740991|properties: \{\}/);
  });

  it('describe every field of every CRD, for kubectl explain', () => {
    const silent = registry
      .filter(({ group }) => group === 'projectcalico.org')
      .flatMap((definition) => withoutDescription(jsonSchemaOf(definition) as JsonSchema, definition.kind));
    // The API server refuses a CRD that describes metadata.
    const kinds = registry.filter(({ group }) => group === 'projectcalico.org').map(({ kind }) => kind);
    expect(silent).toEqual(kinds.map((kind) => `${kind}.metadata`));
  });
});

/** Returns the paths of fields without a description, which `.describe()` in datastore/schema sets. */
function withoutDescription(schema: JsonSchema, at: string): string[] {
  const { properties = {}, items, additionalProperties, description } = schema;
  const below: [string, JsonSchema | undefined | object][] = [
    ...Object.entries(properties).map(([name, inner]): [string, JsonSchema] => [`${at}.${name}`, inner]),
    [`${at}[]`, items],
    [`${at}{}`, additionalProperties],
  ];
  return [
    ...(/^\w.*\.$/.test(description ?? '') ? [] : [at]),
    ...below.flatMap(([name, inner]) => (typeof inner === 'object' ? withoutDescription(inner, name) : [])),
  ];
}
