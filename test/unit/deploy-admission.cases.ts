import { nodeAnnotations, podAnnotations } from '../../datastore/schema/core.ts';
import { nameOfCidr } from '../../datastore/schema/ipam.ts';

export interface Request {
  readonly resource: string;
  readonly operation?: 'CREATE' | 'UPDATE' | 'DELETE';
  readonly old?: object;
  readonly object?: object;
  readonly user?: string;
  /** The node that the token is bound to; undefined: no claim. */
  readonly node?: string | undefined;
  readonly hasExtra?: boolean;
}

const ready = { type: 'Ready', status: 'True' };
const available = { type: 'NetworkUnavailable', status: 'False' };
const node = (name: string, metadata: object = {}, status: object = {}) => ({
  metadata: { name, labels: { zone: 'x' }, annotations: { other: 'kept' }, ...metadata },
  spec: {},
  status: { conditions: [ready], capacity: { cpu: '2' }, ...status },
});
const pod = (on: string | undefined, metadata: object = {}, status: object = {}) => ({
  metadata: { name: 'p', namespace: 'default', labels: { app: 'x' }, ...metadata },
  spec: on === undefined ? {} : { nodeName: on },
  status: { phase: 'Running', ...status },
});
const annotated = (annotations: object) => ({ annotations: { other: 'kept', ...annotations } });
/** The operator alone makes a node a route reflector; every other annotation of a Node is the agent's. */
const { routeReflectorClusterID, ...ofAgent } = nodeAnnotations;
const all = (keys: readonly string[]) => Object.fromEntries(keys.map((key) => [key, '1']));
const podIp = { annotations: { 'cni.projectcalico.org/podIP': '10.0.0.1/32' } };
const block = (affinity: string | undefined, more: object = {}) => ({
  metadata: { name: '10-0-0-0-26' },
  spec: { cidr: '10.0.0.0/26', ...(affinity === undefined ? {} : { affinity }), ...more },
});
const blockOf = (cidr: string, name = nameOfCidr(cidr)) => ({
  resource: 'ipamblocks',
  operation: 'CREATE' as const,
  object: { metadata: { name }, spec: { cidr, affinity: 'host:a' } },
});
const affinity = (of: string, cidr = '10.0.0.0/26') => ({
  metadata: { name: 'x' },
  spec: { node: of, cidr },
});
const pool = (cidr: string, name: string) => ({
  resource: 'ippools',
  operation: 'CREATE' as const,
  object: { metadata: { name }, spec: { cidr } },
});
const ipamConfiguration = (change: object): Request => ({
  resource: 'ipamconfigurations',
  operation: 'CREATE',
  object: {
    metadata: { name: 'default' },
    spec: { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0, ...change },
  },
});
const named = (name: string) => ({ metadata: { name }, spec: {} });

/** What the agent of node a does. */
export const allowed: [string, Request][] = [
  [
    'addresses and tunnels of its own Node',
    {
      resource: 'nodes/status',
      old: node('a'),
      object: node(
        'a',
        annotated({
          'projectcalico.org/IPv4Address': '10.0.0.1/24',
          'projectcalico.org/VXLANTunnelMACAddr': '66:00:00:00:00:01',
        }),
      ),
    },
  ],
  [
    'every annotation of its own Node that it knows, as written at the first start',
    {
      resource: 'nodes/status',
      old: node('a', { annotations: undefined }),
      object: node('a', { annotations: all(Object.values(ofAgent)) }),
    },
  ],
  [
    'every annotation of a pod that the CNI plugin writes',
    {
      resource: 'pods/status',
      old: pod('a'),
      object: pod('a', {
        annotations: all([podAnnotations.podIP, podAnnotations.podIPs, podAnnotations.containerID]),
      }),
    },
  ],
  [
    'removal of its own annotations',
    {
      resource: 'nodes/status',
      old: node('a', annotated({ 'projectcalico.org/IPv6Address': 'fd00::1/64' })),
      object: node('a'),
    },
  ],
  [
    'the condition of its own Node',
    { resource: 'nodes/status', old: node('a'), object: node('a', {}, { conditions: [ready, available] }) },
  ],
  [
    'the first condition of its own Node',
    {
      resource: 'nodes/status',
      old: node('a', {}, { conditions: undefined }),
      object: node('a', {}, { conditions: [available] }),
    },
  ],
  [
    'the address of a pod on its own node',
    { resource: 'pods/status', old: pod('a'), object: pod('a', podIp) },
  ],
  [
    'the status of its own CalicoNodeStatus',
    {
      resource: 'caliconodestatuses/status',
      old: { metadata: {}, spec: { node: 'a' } },
      object: { metadata: {}, spec: { node: 'a' } },
    },
  ],
  ['an affinity of its own', { resource: 'blockaffinities', operation: 'CREATE', object: affinity('a') }],
  [
    'confirmation of its own affinity',
    { resource: 'blockaffinities', old: affinity('a'), object: affinity('a') },
  ],
  ['deletion of its own affinity', { resource: 'blockaffinities', operation: 'DELETE', old: affinity('a') }],
  ['a block of its own', { resource: 'ipamblocks', operation: 'CREATE', object: block('host:a') }],
  ['addresses in its own block', { resource: 'ipamblocks', old: block('host:a'), object: block('host:a') }],
  ['borrowed addresses', { resource: 'ipamblocks', old: block('host:b'), object: block('host:b') }],
  [
    'addresses in a block without a node',
    { resource: 'ipamblocks', old: block(undefined), object: block(undefined) },
  ],
  ['deletion of its own block', { resource: 'ipamblocks', operation: 'DELETE', old: block('host:a') }],
  [
    'the first BGPConfiguration',
    { resource: 'bgpconfigurations', operation: 'CREATE', object: named('default') },
  ],
  [
    'the first FelixConfiguration',
    {
      resource: 'felixconfigurations',
      operation: 'CREATE',
      object: { metadata: { name: 'default' }, spec: { logSeverityScreen: 'Info' } },
    },
  ],
  ['the first IPAMConfiguration', ipamConfiguration({})],
  ...['10.0.0.0/20', '10.0.0.1/32', 'fd00::/116', 'fd00:10:244::40/122', '2001:db8::1/128'].map(
    (cidr): [string, Request] => [`a block ${cidr} of its own`, blockOf(cidr)],
  ),
  [
    'deletion of its own block, whatever its size',
    { resource: 'ipamblocks', operation: 'DELETE', old: blockOf('10.0.0.0/8').object },
  ],
  ['the first pool', pool('192.168.0.0/16', 'default-ipv4-ippool')],
  ['a first pool of the widest allowed network', pool('10.0.0.0/8', 'default-ipv4-ippool')],
  ['the first IPv6 pool', pool('fd00:10:244::/48', 'default-ipv6-ippool')],
];

/** What its token must not be good for. */
export const refused: [string, RegExp, Request][] = [
  [
    'the annotations of another Node',
    /of its own Node/,
    {
      resource: 'nodes/status',
      old: node('b'),
      object: node('b', annotated({ 'projectcalico.org/IPv4Address': '10.0.0.9/24' })),
    },
  ],
  [
    'a change of its Node to a route reflector',
    /only its own annotations/,
    {
      resource: 'nodes/status',
      old: node('a'),
      object: node('a', annotated({ [routeReflectorClusterID]: '1.1.1.1' })),
    },
  ],
  [
    'an annotation of another program',
    /only its own annotations/,
    { resource: 'nodes/status', old: node('a'), object: node('a', { annotations: { other: 'changed' } }) },
  ],
  [
    'deletion of another program’s annotation',
    /only its own annotations/,
    { resource: 'nodes/status', old: node('a'), object: node('a', { annotations: undefined }) },
  ],
  [
    'labels of its Node',
    /neither labels/,
    { resource: 'nodes/status', old: node('a'), object: node('a', { labels: { 'node-role': 'x' } }) },
  ],
  [
    'a finalizer',
    /finalizers/,
    { resource: 'nodes/status', old: node('a'), object: node('a', { finalizers: ['x/y'] }) },
  ],
  [
    'another condition of its Node',
    /NetworkUnavailable/,
    {
      resource: 'nodes/status',
      old: node('a'),
      object: node('a', {}, { conditions: [{ ...ready, status: 'False' }] }),
    },
  ],
  [
    'the capacity of its Node',
    /NetworkUnavailable/,
    { resource: 'nodes/status', old: node('a'), object: node('a', {}, { capacity: { cpu: '200' } }) },
  ],
  [
    'a new field in the status of its Node',
    /NetworkUnavailable/,
    {
      resource: 'nodes/status',
      old: node('a'),
      object: node('a', {}, { addresses: [{ address: '10.0.0.9' }] }),
    },
  ],
  [
    'removal of its Node’s status',
    /NetworkUnavailable/,
    { resource: 'nodes/status', old: node('a'), object: { ...node('a'), status: { conditions: [ready] } } },
  ],
  [
    'the status of a pod on another node',
    /only .* of its own node/,
    { resource: 'pods/status', old: pod('b'), object: pod('b', podIp) },
  ],
  [
    'the status of a pod without a node',
    /only .* of its own node/,
    { resource: 'pods/status', old: pod(undefined), object: pod('a', podIp) },
  ],
  [
    'labels of a pod on its node',
    /neither labels/,
    { resource: 'pods/status', old: pod('a'), object: pod('a', { labels: { app: 'other' } }) },
  ],
  [
    'other status fields of a pod on its node',
    /not their status/,
    { resource: 'pods/status', old: pod('a'), object: pod('a', {}, { podIP: '10.0.0.9' }) },
  ],
  [
    'the annotation that requests addresses',
    /only its own annotations/,
    {
      resource: 'pods/status',
      old: pod('a'),
      object: pod('a', { annotations: { 'cni.projectcalico.org/ipAddrs': '["10.0.0.9"]' } }),
    },
  ],
  [
    'the CalicoNodeStatus of another node',
    /only .* of its own node/,
    {
      resource: 'caliconodestatuses/status',
      old: { metadata: {}, spec: { node: 'b' } },
      object: { metadata: {}, spec: { node: 'b' } },
    },
  ],
  [
    'an affinity of another node',
    /only .* of its own node/,
    { resource: 'blockaffinities', operation: 'CREATE', object: affinity('b') },
  ],
  [
    'a change of another node’s affinity to its own',
    /only .* of its own node/,
    { resource: 'blockaffinities', old: affinity('b'), object: affinity('a') },
  ],
  [
    'deletion of another node’s affinity',
    /only .* of its own node/,
    { resource: 'blockaffinities', operation: 'DELETE', old: affinity('b') },
  ],
  [
    'another node’s block',
    /only .* of its own node/,
    { resource: 'ipamblocks', operation: 'CREATE', object: block('host:b') },
  ],
  [
    'a block of no node',
    /only .* of its own node/,
    { resource: 'ipamblocks', operation: 'CREATE', object: block(undefined) },
  ],
  [
    'deletion of another node’s block',
    /only .* of its own node/,
    { resource: 'ipamblocks', operation: 'DELETE', old: block('host:b') },
  ],
  [
    'a change of another node’s block to its own',
    /take over a block/,
    { resource: 'ipamblocks', old: block('host:b'), object: block('host:a') },
  ],
  [
    'a change of its block to another CIDR',
    /take over a block/,
    { resource: 'ipamblocks', old: block('host:a'), object: block('host:a', { cidr: '10.9.0.0/26' }) },
  ],
  [
    'a BGPConfiguration of another node',
    /only the default object/,
    { resource: 'bgpconfigurations', operation: 'CREATE', object: named('node.b') },
  ],
  [
    'a BGPConfiguration with settings',
    /empty BGPConfiguration/,
    {
      resource: 'bgpconfigurations',
      operation: 'CREATE',
      object: { metadata: { name: 'default' }, spec: { nodeToNodeMeshEnabled: false } },
    },
  ],
  [
    'a FelixConfiguration with settings',
    /nothing but a log level/,
    {
      resource: 'felixconfigurations',
      operation: 'CREATE',
      object: { metadata: { name: 'default' }, spec: { vxlanEnabled: false } },
    },
  ],
  [
    'a FelixConfiguration of another node',
    /only the default object/,
    { resource: 'felixconfigurations', operation: 'CREATE', object: named('node.b') },
  ],
  ...[{ strictAffinity: true }, { autoAllocateBlocks: false }, { maxBlocksPerHost: 1 }, { x: 1 }].map(
    (change): [string, RegExp, Request] => [
      `an IPAMConfiguration with ${JSON.stringify(change)}`,
      /with default values/,
      ipamConfiguration(change),
    ],
  ),
  [
    'a change of its affinity to another CIDR',
    /move an affinity/,
    { resource: 'blockaffinities', old: affinity('a'), object: affinity('a', '172.18.0.0/26') },
  ],
  ...[
    '0.0.0.0/0',
    '10.0.0.0/19',
    '10.0.0.0/8',
    '10.0.0.0',
    '10.0.0.0/33',
    'fd00::/64',
    'fd00::/115',
    '::/0',
  ].flatMap((cidr): [string, RegExp, Request][] => [
    [`a block ${cidr}`, /to \/32 or/, blockOf(cidr)],
    [
      `an affinity of ${cidr}`,
      /to \/32 or/,
      { resource: 'blockaffinities', operation: 'CREATE', object: affinity('a', cidr) },
    ],
  ]),
  ...[
    '0.0.0.0/26',
    '127.0.0.0/26',
    '169.254.0.0/26',
    '224.0.0.0/26',
    '239.1.0.0/26',
    '255.255.255.255/32',
    'fe80::/122',
    'FEB0::/122',
    'ff02::/122',
    '::1/128',
    '::ffff:0:0/122',
  ].map((cidr): [string, RegExp, Request] => [`a block ${cidr}`, /loopback, link-local/, blockOf(cidr)]),
  ['a second block for the same CIDR', /name of its CIDR/, blockOf('10.0.0.0/26', 'again')],
  ['an additional pool', /only the default pools/, pool('10.0.0.0/16', 'mine')],
  ['a default pool of all addresses', /of its family/, pool('0.0.0.0/0', 'default-ipv4-ippool')],
  ['a default pool of half of IPv4', /of its family/, pool('128.0.0.0/1', 'default-ipv4-ippool')],
  ['a default pool of all IPv6 addresses', /of its family/, pool('2000::/3', 'default-ipv6-ippool')],
  ['a default pool of the other family', /of its family/, pool('10.0.0.0/16', 'default-ipv6-ippool')],
  ['a default pool of loopback addresses', /loopback/, pool('127.0.0.0/8', 'default-ipv4-ippool')],
  [
    'any write with a token that names no node',
    /names no node/,
    { resource: 'pods/status', old: pod('a'), object: pod('a', podIp), node: undefined },
  ],
  [
    'any write when the server sends no claims',
    /names no node/,
    { resource: 'pods/status', old: pod('a'), object: pod('a', podIp), hasExtra: false },
  ],
];
