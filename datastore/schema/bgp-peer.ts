/** BGPPeer. Calico reference 1.4; fields that Calico does not have are marked. */
import { z } from 'zod';
import { familyOf, parseCidr } from '../../lib/cidr.ts';
import { parseDuration } from '../../lib/duration.ts';
import { bfd, connectRetryTime, isHoldTime, parsePeerIP, SECRET_IS_NEEDED } from './bgp-fields.ts';
import { addressOrEmptyRule, bgpPeerRules, peerIpRule, served } from './cel-rules.ts';
import { asNumber, duration, durationBetween, ipAddress, network, secretKeyRef, selector } from './fields.ts';
import {
  ageColumn,
  calicoKind,
  calicoObject,
  conditionColumn,
  conditionsStatus,
  type FieldError,
  type ResourceDefinition,
} from './resource.ts';

/** RFC 4271 section 4.4: at most one KEEPALIVE per second. */
const keepaliveTime = durationBetween(1000, Number.POSITIVE_INFINITY, 'at least 1s');
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
      'AS number of the peer: 1 to 4294967295, or two numbers joined by a dot. Required unless peerIP is an address of a Node, whose AS number applies then.',
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
  passive: z
    .boolean()
    .optional()
    .describe(
      'Waits for the peer to connect, and never connects to it. Excludes peerSelector. Not in Calico.',
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
  exclude('peerSelector', 'passive');
  exclude('peerIP', 'localWorkloadSelector');
  exclude('peerSelector', 'localWorkloadSelector');
  if (!spec.peerIP && !spec.peerSelector && !spec.localWorkloadSelector && !spec.peerCIDR) {
    errors.push({
      field: 'spec.peerIP',
      message: 'is required unless peerSelector or localWorkloadSelector is set',
    });
  }
  const remote = spec.peerCIDR ?? (spec.localWorkloadSelector && 'the workloads');
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
    conditionColumn('Resolved'),
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
