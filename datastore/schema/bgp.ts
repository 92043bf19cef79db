/** BGPConfiguration and BGPPeer. Calico reference 1.3 and 1.4; fields that Calico does not have are marked. */
import { z } from 'zod';
import { familyOf, formatAddress, parseAddress, parseCidr } from '../../lib/cidr.ts';
import { parseDuration } from '../../lib/duration.ts';
import {
  asNumber,
  duration,
  hostOrNetwork,
  ipAddress,
  logSeverity,
  network,
  secretKeyRef,
  selector,
} from './fields.ts';
import { ageColumn, calicoKind, calicoObject, type FieldError, type ResourceDefinition } from './resource.ts';

const cidrList = z.array(z.strictObject({ cidr: hostOrNetwork })).optional();
const priority = z.number().int().min(1).max(2147483646).optional();

/** Cali only. RFC 5880: intervals as durations, down to 10ms; a neighbour is down after `multiplier` of them. */
const bfd = z
  .strictObject({
    receiveInterval: duration.optional(),
    transmitInterval: duration.optional(),
    multiplier: z.number().int().min(1).max(255).optional(),
  })
  .optional();

const community = z.string().refine(isCommunity, {
  error: (issue) =>
    `"${String(issue.input)}" is no community: write aa:nn with numbers up to 65535, or aa:nn:mm with numbers up to 4294967295`,
});

function isCommunity(text: string): boolean {
  const limit = text.split(':').length === 2 ? 0xffff : 0xffffffff;
  return /^\d+:\d+(:\d+)?$/.test(text) && text.split(':').every((part) => Number(part) <= limit);
}

const configurationSpec = z.strictObject({
  logSeverityScreen: logSeverity.optional(),
  nodeToNodeMeshEnabled: z.boolean().optional(),
  asNumber: asNumber.optional(),
  serviceClusterIPs: cidrList,
  serviceExternalIPs: cidrList,
  serviceLoadBalancerIPs: cidrList,
  serviceLoadBalancerAggregation: z.enum(['Enabled', 'Disabled']).optional(),
  communities: z
    .array(
      z.strictObject({
        name: z.string().max(253),
        value: community,
      }),
    )
    .max(500)
    .optional(),
  prefixAdvertisements: z
    .array(z.strictObject({ cidr: network, communities: z.array(z.string()).max(50).optional() }))
    .max(500)
    .optional(),
  listenPort: z.number().int().min(1).max(65535).optional(),
  nodeMeshPassword: secretKeyRef.optional(),
  nodeMeshMaxRestartTime: duration.optional(),
  bindMode: z.enum(['None', 'NodeIP']).optional(),
  ignoredInterfaces: z.array(z.string()).optional(),
  localWorkloadPeeringIPV4: ipAddress.optional(),
  localWorkloadPeeringIPV6: ipAddress.optional(),
  programClusterRoutes: z.enum(['Disabled', 'Enabled', 'EnabledIPIPOnly', 'EnabledNoEncapOnly']).optional(),
  ipv4NormalRoutePriority: priority,
  ipv6NormalRoutePriority: priority,
  // Cali only, for the mesh and as default for BGPPeers.
  holdTime: duration.optional(),
  connectRetryTime: duration.optional(),
  bfd,
  /** Address and port of a BMP station (RFC 7854). */
  bmpStation: z
    .string()
    .refine(
      (text) => parsePeerIP(text)?.port !== undefined,
      'must be an address and a port: a.b.c.d:port or [v6]:port',
    )
    .optional(),
  /** Routes leave with GRACEFUL_SHUTDOWN (RFC 8326), before maintenance; of node.<name>: that node's. */
  gracefulShutdown: z.boolean().optional(),
  /** Whether a default route that a peer announces is used: while the host has none of its own, also then, or never. */
  acceptDefaultRoute: z.enum(['IfNone', 'Always', 'Never']).optional(),
  // Cali only, for `cali-node --role reflector`.
  routerID: ipAddress.optional(),
  routeReflectorClusterID: ipAddress.optional(),
  listenAddresses: z.array(ipAddress).optional(),
});

const configuration = calicoObject('BGPConfiguration', configurationSpec.default({}));
export type BGPConfiguration = z.output<typeof configuration>;

const defaultOnly = [
  'nodeToNodeMeshEnabled',
  'asNumber',
  'serviceClusterIPs',
  'serviceExternalIPs',
  'serviceLoadBalancerIPs',
  'nodeMeshPassword',
  'nodeMeshMaxRestartTime',
] as const;

function validateConfiguration({ metadata, spec }: BGPConfiguration): FieldError[] {
  const errors: FieldError[] = [];
  const { name } = metadata;
  if (name !== 'default' && !name.startsWith('node.')) {
    errors.push({
      field: 'metadata.name',
      value: name,
      message: 'must be "default" or "node.<name of the node>"',
      isHarmless: true,
    });
  }
  if (name !== 'default') {
    for (const field of defaultOnly) {
      if (spec[field] !== undefined) {
        errors.push({
          field: `spec.${field}`,
          message: 'is cluster-wide: set it on BGPConfiguration default',
          isHarmless: true,
        });
      }
    }
  }
  if (spec.nodeToNodeMeshEnabled === false) {
    for (const field of ['nodeMeshPassword', 'nodeMeshMaxRestartTime'] as const) {
      if (spec[field] !== undefined) {
        errors.push({
          field: `spec.${field}`,
          message: 'has no meaning while nodeToNodeMeshEnabled is false: remove it',
          isHarmless: true,
        });
      }
    }
  }
  if (spec.holdTime !== undefined && !isHoldTime(spec.holdTime)) {
    errors.push({
      field: 'spec.holdTime',
      value: spec.holdTime,
      message: 'must be 0s or between 3s and 65535s',
    });
  }
  const known = new Set(spec.communities?.map((one) => one.name));
  for (const [index, { communities = [] }] of (spec.prefixAdvertisements ?? []).entries()) {
    for (const value of communities.filter((one) => !known.has(one) && !isCommunity(one))) {
      errors.push({
        field: `spec.prefixAdvertisements[${index}].communities`,
        value,
        message: 'is neither a community nor the name of one in spec.communities',
      });
    }
  }
  if (spec.communities && !spec.prefixAdvertisements) {
    errors.push({
      field: 'spec.communities',
      message: 'needs prefixAdvertisements that use them',
      isHarmless: true,
    });
  }
  return errors;
}

const configurationDefinition = calicoKind(
  {
    kind: 'BGPConfiguration',
    plural: 'bgpconfigurations',
    singular: 'bgpconfiguration',
    shortNames: ['bgpconfig', 'bgpconfigs'],
  },
  configuration,
  [
    { name: 'Mesh', type: 'boolean', path: '.spec.nodeToNodeMeshEnabled' },
    { name: 'ASN', type: 'integer', path: '.spec.asNumber' },
    ageColumn,
  ],
  validateConfiguration,
);

/**
 * Not among them: AS number, mesh, passwords, ports and identifiers. A session with the default in their place would be
 * another session, so without a former version BGP waits (agent/agent.ts).
 */
export const bgpConfigurationKind: ResourceDefinition<typeof configuration> = {
  ...configurationDefinition,
  fallbacks: {
    logSeverityScreen: 'default',
    serviceClusterIPs: 'drop elements',
    serviceExternalIPs: 'drop elements',
    serviceLoadBalancerIPs: 'drop elements',
    serviceLoadBalancerAggregation: 'default',
    communities: 'drop elements',
    prefixAdvertisements: 'drop elements',
    nodeMeshMaxRestartTime: 'default',
    ignoredInterfaces: 'default',
    localWorkloadPeeringIPV4: 'default',
    localWorkloadPeeringIPV6: 'default',
    ipv4NormalRoutePriority: 'default',
    ipv6NormalRoutePriority: 'default',
    holdTime: 'default',
    connectRetryTime: 'default',
    bfd: 'default',
    bmpStation: 'default',
    gracefulShutdown: 'default',
  },
};

/** RFC 9494 section 3: 24 bits, 194 days. */
const MAX_STALE_SECONDS = 2 ** 24 - 1;

const peerSpec = z.strictObject({
  node: z.string().max(253).optional(),
  nodeSelector: selector.optional(),
  peerIP: z
    .string()
    .max(64)
    .refine(
      (text) => text === '' || parsePeerIP(text) !== undefined,
      'must be an address, a.b.c.d:port, [v6]:port or a link-local address with %interface',
    )
    .optional(),
  asNumber: asNumber.optional(),
  localASNumber: asNumber.optional(),
  peerSelector: selector.optional(),
  keepOriginalNextHop: z.boolean().optional(),
  nextHopMode: z.enum(['Auto', 'Self', 'Keep']).optional(),
  password: secretKeyRef.optional(),
  sourceAddress: z.enum(['UseNodeIP', 'None']).optional(),
  maxRestartTime: duration.optional(),
  keepaliveTime: duration.optional(),
  numAllowedLocalASNumbers: z.number().int().min(0).optional(),
  ttlSecurity: z.number().int().min(0).max(255).optional(),
  /** Address of a gateway; empty counts as absent. */
  reachableBy: z.union([z.literal(''), ipAddress]).optional(),
  filters: z.array(z.string()).optional(),
  localWorkloadSelector: selector.optional(),
  reversePeering: z.enum(['Auto', 'Manual']).optional(),
  // Cali only.
  /** Peers from anywhere in a network, for reflectors: they connect, we wait. */
  peerCIDR: network.optional(),
  holdTime: duration.optional(),
  connectRetryTime: duration.optional(),
  longLivedRestartTime: duration
    .refine(
      (text) => !(parseDuration(text)! / 1000 > MAX_STALE_SECONDS),
      `must be at most ${MAX_STALE_SECONDS}s`,
    )
    .optional(),
  bfd,
  addressFamilies: z
    .array(z.enum(['IPv4', 'IPv6']))
    .min(1)
    .optional(),
  addPaths: z.enum(['None', 'Receive', 'Send', 'Both']).optional(),
  extendedNextHop: z.boolean().optional(),
  maxPrefixes: z
    .strictObject({
      limit: z.number().int().min(1),
      action: z.enum(['Warn', 'Drop', 'Restart']).optional(),
      warningPercent: z.number().int().min(1).max(100).optional(),
    })
    .optional(),
  role: z.enum(['Provider', 'RouteServer', 'RouteServerClient', 'Customer', 'Peer']).optional(),
  roleStrict: z.boolean().optional(),
  /** Keeps the session down and tells the peer's operator why (RFC 9003). */
  shutdownMessage: z.string().max(255).optional(),
  routeReflectorClient: z.boolean().optional(),
});

const peer = calicoObject('BGPPeer', peerSpec).extend({ status: z.looseObject({}).optional() });
export type BGPPeer = z.output<typeof peer>;

/** Canonical address and port of a BGPPeer's peerIP; the port is undefined when not given. */
export function parsePeerIP(text: string): { address: string; port: number | undefined } | undefined {
  const match = /^\[([^\]]+)\]:(\d{1,5})$/.exec(text) ?? /^([\d.]+):(\d{1,5})$/.exec(text);
  const address = match ? match[1]! : text;
  const port = match ? Number(match[2]) : undefined;
  const [plain, zone, ...more] = address.split('%');
  if (more.length > 0) return undefined;
  // Calico takes no zone; an unnumbered peer needs one.
  if (zone !== undefined && (!/^fe[89ab]/i.test(plain!) || !/^[\w.-]{1,15}$/.test(zone))) return undefined;
  const parsed = parseAddress(plain!);
  if (!parsed || (port !== undefined && (port < 1 || port > 65535))) return undefined;
  const canonical = formatAddress(parsed);
  return { address: zone === undefined ? canonical : `${canonical}%${zone}`, port };
}

/** RFC 4271 section 4.2: zero, or at least three seconds. */
export function isHoldTime(text: string): boolean {
  const seconds = parseDuration(text)! / 1000;
  return seconds === 0 || (seconds >= 3 && seconds <= 65535);
}

function validatePeer({ spec }: BGPPeer): FieldError[] {
  const errors: FieldError[] = [];
  const exclude = (a: keyof typeof spec, b: keyof typeof spec) => {
    if (spec[a] && spec[b])
      errors.push({ field: `spec.${a}`, message: `excludes spec.${b}: remove one of them` });
  };
  exclude('node', 'nodeSelector');
  exclude('peerIP', 'peerSelector');
  exclude('asNumber', 'peerSelector');
  exclude('nextHopMode', 'keepOriginalNextHop');
  exclude('peerIP', 'peerCIDR');
  exclude('peerSelector', 'peerCIDR');
  exclude('peerIP', 'localWorkloadSelector');
  exclude('peerSelector', 'localWorkloadSelector');
  if (!spec.peerIP && !spec.peerSelector && !spec.localWorkloadSelector && !spec.peerCIDR) {
    errors.push({
      field: 'spec.peerIP',
      message: 'is required unless peerSelector or localWorkloadSelector is set',
    });
  }
  const remote = spec.peerIP ?? spec.peerCIDR ?? (spec.localWorkloadSelector && 'the workloads');
  if (remote && spec.asNumber === undefined) {
    errors.push({ field: 'spec.asNumber', message: `is required: the AS number of ${remote}` });
  }
  const gateway = spec.reachableBy ? parseCidr(spec.reachableBy) : undefined;
  if (spec.reachableBy && spec.peerIP && gateway?.family !== familyOf(spec.peerIP.replace(/^\[/, ''))) {
    errors.push({
      field: 'spec.reachableBy',
      message: 'must be an address of the same family as spec.peerIP',
    });
  }
  if (spec.holdTime !== undefined && !isHoldTime(spec.holdTime)) {
    errors.push({
      field: 'spec.holdTime',
      value: spec.holdTime,
      message: 'must be 0s or between 3s and 65535s',
    });
  }
  if (spec.reachableBy && !spec.peerIP) {
    errors.push({ field: 'spec.reachableBy', message: 'needs spec.peerIP' });
  }
  return errors;
}

const peerDefinition = calicoKind(
  { kind: 'BGPPeer', plural: 'bgppeers', singular: 'bgppeer', shortNames: ['bgpp', 'bp'] },
  peer,
  [
    { name: 'Node Selector', type: 'string', path: '.spec.nodeSelector' },
    { name: 'Node', type: 'string', path: '.spec.node' },
    { name: 'Peer Selector', type: 'string', path: '.spec.peerSelector' },
    { name: 'Peer IP', type: 'string', path: '.spec.peerIP' },
    { name: 'Peer ASN', type: 'integer', path: '.spec.asNumber' },
    {
      name: 'Resolved',
      type: 'string',
      path: '.status.conditions[?(@.type=="Resolved")].reason',
      priority: 1,
    },
    { ...ageColumn, priority: 1 },
  ],
  validatePeer,
);

/** Timers alone: what chooses the peer, its AS number, filters, limits and passwords have no default that is safe. */
export const bgpPeerKind: ResourceDefinition<typeof peer> = {
  ...peerDefinition,
  hasStatus: true,
  fallbacks: {
    maxRestartTime: 'default',
    keepaliveTime: 'default',
    holdTime: 'default',
    connectRetryTime: 'default',
    longLivedRestartTime: 'default',
    bfd: 'default',
  },
};
