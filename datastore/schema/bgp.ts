/** BGPConfiguration and BGPPeer. Calico reference 1.3 and 1.4; fields that Calico does not have are marked. */
import { z } from 'zod';
import { familyOf, formatAddress, parseAddress, parseCidr } from '../../lib/cidr.ts';
import { parseDuration } from '../../lib/duration.ts';
import {
  addressOrEmptyRule,
  bgpConfigurationNameRule,
  bgpConfigurationRules,
  bgpPeerRules,
  MAX_NETWORKS,
  peerIpRule,
  served,
} from './cel-rules.ts';
import {
  asNumber,
  bgpIdentifier,
  duration,
  durationBetween,
  hostOrNetwork,
  ipAddress,
  ipAddressOf,
  logSeverity,
  network,
  secretKeyRef,
  selector,
} from './fields.ts';
import {
  ageColumn,
  calicoKind,
  calicoObject,
  conditionsStatus,
  type FieldError,
  type ResourceDefinition,
} from './resource.ts';
import type { WithoutEffect } from './without-effect.ts';

const HOUR_MS = 3_600_000;

const cidrList = z
  .array(
    z
      .strictObject({ cidr: hostOrNetwork.describe('A network in CIDR notation, or an address.') })
      .describe('One range.'),
  )
  .max(MAX_NETWORKS)
  .optional();
const priority = z.number().int().min(1).max(2147483646).optional();

const bfdInterval = durationBetween(10, HOUR_MS, 'between 10ms and 1h');
/** RFC 4271 section 4.4: at most one KEEPALIVE per second. */
const keepaliveTime = durationBetween(1000, Number.POSITIVE_INFINITY, 'at least 1s');
/** Limits the attempts to a peer that refuses each of them. */
const connectRetryTime = durationBetween(1000, Number.POSITIVE_INFINITY, 'at least 1s');

/** Cali only. RFC 5880: intervals are durations of at least 10ms; a neighbour is down after `multiplier` of them. */
const bfd = z
  .strictObject({
    receiveInterval: bfdInterval
      .optional()
      .describe('Shortest interval at which this node accepts control packets; 300ms unless set.'),
    transmitInterval: bfdInterval
      .optional()
      .describe('Interval at which this node sends control packets; 300ms unless set.'),
    multiplier: z
      .number()
      .int()
      .min(1)
      .max(255)
      .optional()
      .describe('The neighbour is down after this many missed packets; 3 unless set.'),
  })
  .optional()
  .describe('Detects a dead neighbour within a second (BFD, RFC 5880); off unless set. Not in Calico.');

const community = z.string().refine(isCommunity, {
  error: (issue) =>
    `"${String(issue.input)}" is not a community: write aa:nn with numbers up to 65535, or aa:nn:mm with numbers up to 4294967295`,
});

function isCommunity(text: string): boolean {
  const limit = text.split(':').length === 2 ? 0xffff : 0xffffffff;
  return /^\d+:\d+(:\d+)?$/.test(text) && text.split(':').every((part) => Number(part) <= limit);
}

const SECRET_IS_NEEDED: WithoutEffect = {
  reason: 'a session with a password waits for its Secret',
  neutral: [false],
};

const configurationSpec = z.strictObject({
  logSeverityScreen: logSeverity.optional().describe('Level of the log: Debug, Info, Warning or Error.'),
  nodeToNodeMeshEnabled: z
    .boolean()
    .optional()
    .describe('Whether every node peers with every other node; true unless set. Cluster-wide.'),
  asNumber: asNumber
    .optional()
    .describe(
      'AS number of the nodes, 1 to 4294967295 or two numbers joined by a dot; 64512 unless set. Cluster-wide.',
    ),
  serviceClusterIPs: cidrList.describe('Ranges of cluster IPs that the nodes announce. Cluster-wide.'),
  serviceExternalIPs: cidrList.describe(
    'Ranges of external IPs of Services that the nodes announce. Cluster-wide.',
  ),
  serviceLoadBalancerIPs: cidrList.describe(
    'Ranges of load balancer IPs of Services that the nodes announce. Cluster-wide.',
  ),
  serviceLoadBalancerAggregation: z
    .enum(['Enabled', 'Disabled'])
    .optional()
    .describe(
      'Enabled announces the ranges of serviceLoadBalancerIPs as a whole; Disabled announces a /32 or /128 for each Service. Enabled unless set.',
    ),
  communities: z
    .array(
      z
        .strictObject({
          name: z.string().max(253).describe('Name for use in prefixAdvertisements.'),
          value: community.describe('A community aa:nn, or a large community aa:nn:mm.'),
        })
        .describe('A named community.'),
    )
    .max(500)
    .optional()
    .describe('Names for communities, for use in prefixAdvertisements.'),
  prefixAdvertisements: z
    .array(
      z
        .strictObject({
          cidr: network.describe('Routes inside this range carry the communities.'),
          communities: z
            .array(z.string().describe('A community, or a name in spec.communities.'))
            .max(50)
            .optional()
            .describe('Communities, or names in spec.communities.'),
        })
        .describe('One range and its communities.'),
    )
    .max(500)
    .optional()
    .describe('Communities to attach to local routes inside these ranges.'),
  listenPort: z
    .number()
    .int()
    .min(1)
    .max(65535)
    .optional()
    .describe('TCP port on which the BGP speaker listens; 179 unless set.'),
  nodeMeshPassword: secretKeyRef
    .optional()
    .describe('Password of the sessions of the node-to-node mesh (TCP MD5). Cluster-wide.'),
  nodeMeshMaxRestartTime: duration
    .optional()
    .describe('How long mesh peers keep the routes of a node that restarts; 120s unless set. Cluster-wide.'),
  bindMode: z
    .enum(['None', 'NodeIP'])
    .optional()
    .describe(
      'NodeIP listens only on the address of the node; None listens on every address. None unless set.',
    ),
  ignoredInterfaces: z
    .array(
      z
        .string()
        .regex(
          /^([a-zA-Z0-9_.*-]{2,15}|[a-zA-Z0-9_.-])$/,
          'must be an interface name of at most 15 characters; * matches any characters; * alone is refused',
        )
        .describe('Name of an interface.'),
    )
    .optional()
    .describe(
      'Interfaces whose routes BIRD would not import. Accepted, without effect: Cali imports no routes from interfaces.',
    ),
  localWorkloadPeeringIPV4: ipAddressOf(4)
    .optional()
    .describe('IPv4 address of the node that pods peer with (localWorkloadSelector of BGPPeer).'),
  localWorkloadPeeringIPV6: ipAddressOf(6)
    .optional()
    .describe('IPv6 address of the node that pods peer with (localWorkloadSelector of BGPPeer).'),
  programClusterRoutes: z
    .enum(['Disabled', 'Enabled', 'EnabledIPIPOnly', 'EnabledNoEncapOnly'])
    .optional()
    .describe(
      'Which daemon programs routes in Calico. Accepted, without effect: in Cali only the agent does.',
    ),
  ipv4NormalRoutePriority: priority.describe(
    'Metric of IPv4 routes to pods and of learned routes in the kernel; 1024 unless set.',
  ),
  ipv6NormalRoutePriority: priority.describe(
    'Metric of IPv6 routes to pods and of learned routes in the kernel; 1024 unless set.',
  ),
  // Cali only: for the mesh, and the default for BGPPeers.
  holdTime: duration
    .optional()
    .describe(
      'BGP hold time: 0s, or 3s to 65535s; 90s unless set. For the mesh, and for BGPPeers without one. Not in Calico.',
    ),
  connectRetryTime: connectRetryTime
    .optional()
    .describe('Longest delay between two attempts to connect; 5s unless set. Not in Calico.'),
  bfd,
  bmpStation: z
    .string()
    .refine(
      (text) => parsePeerIP(text)?.port !== undefined,
      'must be an address and a port: a.b.c.d:port or [v6]:port',
    )
    .optional()
    .describe(
      'Address and port of a BMP station that monitors the sessions (RFC 7854): a.b.c.d:port or [v6]:port. Not in Calico.',
    ),
  gracefulShutdown: z
    .boolean()
    .optional()
    .describe(
      'Announces routes with GRACEFUL_SHUTDOWN before maintenance (RFC 8326); in node.NAME, only those of that node. Not in Calico.',
    ),
  acceptDefaultRoute: z
    .enum(['IfNone', 'Always', 'Never'])
    .optional()
    .describe(
      "Whether a learned default route is used: IfNone while the host has none, Always also in place of the host's own, or Never. Not in Calico.",
    ),
  // Cali only, for `cali-node --role reflector`.
  routerID: bgpIdentifier
    .optional()
    .describe('BGP identifier of a reflector that runs outside the cluster. Not in Calico.'),
  routeReflectorClusterID: bgpIdentifier
    .optional()
    .describe('Cluster ID of a reflector that runs outside the cluster (RFC 4456). Not in Calico.'),
  listenAddresses: z
    .array(ipAddress.describe('An IP address.'))
    .max(MAX_NETWORKS)
    .optional()
    .describe(
      'Addresses on which a reflector outside the cluster listens; every address unless set. Not in Calico.',
    ),
});

const configuration = calicoObject(
  'BGPConfiguration',
  configurationSpec
    .default({})
    .meta(served(...bgpConfigurationRules))
    .describe('BGP settings.'),
)
  .meta(served(bgpConfigurationNameRule))
  .describe('BGP settings of the cluster ("default") or of one node ("node.NAME").');
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
          message: 'has no effect while nodeToNodeMeshEnabled is false: remove it',
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
    if (communities.length === 0) {
      errors.push({
        field: `spec.prefixAdvertisements[${index}].communities`,
        message: 'is required: name at least one community',
        isHarmless: true,
      });
    }
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
 * The fallbacks leave out AS number, mesh, passwords, ports and identifiers: with the default, the session would be a
 * different one. Without a former version BGP waits (agent/agent.ts).
 */
export const bgpConfigurationKind: ResourceDefinition<typeof configuration> = {
  ...configurationDefinition,
  withoutEffect: {
    ignoredInterfaces: { reason: 'Cali imports no routes from interfaces' },
    programClusterRoutes: { reason: 'in Cali only the agent programs routes' },
    'nodeMeshPassword.secretKeyRef.optional': SECRET_IS_NEEDED,
  },
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
  node: z
    .string()
    .max(253)
    .optional()
    .describe(
      'Name of the one node that has this peer. Excludes nodeSelector; without both, every node has it.',
    ),
  nodeSelector: selector.optional().describe('Selects the nodes that have this peer, by labels of the Node.'),
  peerIP: z
    .string()
    .max(64)
    .refine(
      (text) => text === '' || parsePeerIP(text) !== undefined,
      'must be an address, a.b.c.d:port, [v6]:port or a link-local address with %interface',
    )
    .optional()
    .meta(served(peerIpRule))
    .describe(
      'Address of the peer: an IP address, a.b.c.d:port, [v6]:port, or a link-local address with %interface.',
    ),
  asNumber: asNumber
    .optional()
    .describe(
      'AS number of the peer: 1 to 4294967295, or two numbers joined by a dot. Required with peerIP.',
    ),
  localASNumber: asNumber.optional().describe("AS number that this peer sees in place of the node's own."),
  peerSelector: selector
    .optional()
    .describe(
      'Selects the peers by labels of Nodes and of reflector Services. Excludes peerIP and asNumber.',
    ),
  keepOriginalNextHop: z.boolean().optional().describe('Older form of nextHopMode Keep.'),
  nextHopMode: z
    .enum(['Auto', 'Self', 'Keep'])
    .optional()
    .describe(
      'Next hop of announced routes: Self is this node, Keep leaves it unchanged, Auto follows RFC 4271. Auto unless set.',
    ),
  password: secretKeyRef.optional().describe('Password of the session (TCP MD5, RFC 2385).'),
  sourceAddress: z
    .enum(['UseNodeIP', 'None'])
    .optional()
    .describe(
      "UseNodeIP connects from the node's address; None leaves the choice to the kernel. UseNodeIP unless set.",
    ),
  maxRestartTime: duration
    .optional()
    .describe('How long the peer keeps our routes while an agent restarts (RFC 4724); 120s unless set.'),
  keepaliveTime: keepaliveTime
    .optional()
    .describe('Interval between KEEPALIVE messages; a third of the hold time unless set.'),
  numAllowedLocalASNumbers: z
    .number()
    .int()
    .min(0)
    .optional()
    .describe(
      "How often the node's own AS number may occur in the AS_PATH of a received route; 0 unless set.",
    ),
  ttlSecurity: z
    .number()
    .int()
    .min(0)
    .max(255)
    .optional()
    .describe(
      'Peers may be at most this many hops away, enforced by TTL (GTSM, RFC 5082); 0 switches it off.',
    ),
  reachableBy: z
    .union([z.literal(''), ipAddress])
    .meta({ maxLength: 48, ...served(addressOrEmptyRule) })
    .optional()
    .describe(
      'Address of the gateway through which peerIP is reached; empty counts as absent. Needs peerIP.',
    ),
  filters: z
    .array(z.string().describe('Name of a BGPFilter.'))
    .optional()
    .describe('Names of the BGPFilters for routes of this peer, in order.'),
  localWorkloadSelector: selector
    .optional()
    .describe('Selects pods of the same node as peers. Excludes peerIP and peerSelector.'),
  reversePeering: z
    .enum(['Auto', 'Manual'])
    .optional()
    .describe(
      'Auto also configures the other end of a session between two nodes; Manual does not. Auto unless set.',
    ),
  // Cali only.
  peerCIDR: network
    .optional()
    .describe('Accepts connections of peers from this network. For reflectors. Not in Calico.'),
  holdTime: duration
    .optional()
    .describe('BGP hold time: 0s, or 3s to 65535s; the value in BGPConfiguration unless set. Not in Calico.'),
  connectRetryTime: connectRetryTime
    .optional()
    .describe(
      'Longest delay between two attempts to connect; the value in BGPConfiguration unless set. Not in Calico.',
    ),
  longLivedRestartTime: duration
    .refine(
      (text) => !(parseDuration(text)! / 1000 > MAX_STALE_SECONDS),
      `must be at most ${MAX_STALE_SECONDS}s`,
    )
    .optional()
    .describe(
      'How long routes of a lost peer are kept as a last resort (RFC 9494); at most 16777215s. Not in Calico.',
    ),
  bfd,
  addressFamilies: z
    .array(z.enum(['IPv4', 'IPv6']).describe('An address family.'))
    .min(1)
    .optional()
    .describe('Address families of the session; the family of the address unless set. Not in Calico.'),
  addPaths: z
    .enum(['None', 'Receive', 'Send', 'Both'])
    .optional()
    .describe(
      'Whether several paths of a prefix are sent, received or both (RFC 7911); Both unless set. Not in Calico.',
    ),
  extendedNextHop: z
    .boolean()
    .optional()
    .describe(
      'Carries IPv4 routes with an IPv6 next hop (RFC 8950); on for link-local peers. Not in Calico.',
    ),
  maxPrefixes: z
    .strictObject({
      limit: z.number().int().min(1).describe('Maximum number of prefixes of each family.'),
      action: z
        .enum(['Warn', 'Drop', 'Restart'])
        .optional()
        .describe(
          'What happens above the limit: Warn logs, Drop ignores further prefixes, Restart ends the session. Drop unless set.',
        ),
      warningPercent: z
        .number()
        .int()
        .min(1)
        .max(100)
        .optional()
        .describe('Share of the limit that is logged as a warning; 75 unless set.'),
    })
    .optional()
    .describe('Limit of prefixes that the peer may announce; 2000000 and Drop unless set. Not in Calico.'),
  role: z
    .enum(['Provider', 'RouteServer', 'RouteServerClient', 'Customer', 'Peer'])
    .optional()
    .describe(
      'Role of this node towards the peer (RFC 9234): Provider, RouteServer, RouteServerClient, Customer or Peer. Not in Calico.',
    ),
  roleStrict: z
    .boolean()
    .optional()
    .describe('Refuses a peer that does not state its role (RFC 9234). Not in Calico.'),
  shutdownMessage: z
    .string()
    .max(255)
    .optional()
    .describe('Keeps the session down, and sends this reason to the peer (RFC 9003). Not in Calico.'),
  routeReflectorClient: z
    .boolean()
    .optional()
    .describe(
      'Whether an internal peer is a client of this reflector; by cluster ID unless set. Not in Calico.',
    ),
});

const peer = calicoObject(
  'BGPPeer',
  peerSpec.meta(served(...bgpPeerRules)).describe('Which nodes have which peer, and how they treat it.'),
)
  .extend({ status: conditionsStatus })
  .describe(
    'A BGP session of one node, some nodes or all nodes with a router, a reflector, other nodes or pods.',
  );
export type BGPPeer = z.output<typeof peer>;

/** Parses a BGPPeer's peerIP to a canonical address and a port, which is undefined when not given. */
export function parsePeerIP(text: string): { address: string; port: number | undefined } | undefined {
  const match = /^\[([^\]]+)\]:(\d{1,5})$/.exec(text) ?? /^([\d.]+):(\d{1,5})$/.exec(text);
  const address = match ? match[1]! : text;
  const port = match ? Number(match[2]) : undefined;
  const [plain, zone, ...more] = address.split('%');
  if (more.length > 0) return undefined;
  // Calico accepts no zone, but an unnumbered peer needs one.
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
  const remoteAddress = parsePeerIP(spec.peerIP ?? '')?.address;
  if (spec.reachableBy && remoteAddress && gateway?.family !== familyOf(remoteAddress)) {
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

/** Only timers have fallbacks. Selection, AS number, filters, limits and passwords have no safe default. */
export const bgpPeerKind: ResourceDefinition<typeof peer> = {
  ...peerDefinition,
  withoutEffect: { 'password.secretKeyRef.optional': SECRET_IS_NEEDED },
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
