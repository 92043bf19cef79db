/**
 * CEL rules for the API server, for conditions that a structural schema cannot express. They need its IP and CIDR
 * functions (Kubernetes 1.31 or later). Each repeats a rule of the kind's schema or `validate`, which gives more detail
 * and works with every server. The schemas carry them as `x-kubernetes-validations`.
 */
import { BGP_PROTOCOL, hostProtocols } from '../../lib/host-protocols.ts';

export interface CelRule {
  /** CEL, true for a valid value. `self` is the value that carries the rule; rules with `oldSelf` apply to updates. */
  readonly rule: string;
  readonly message: string;
}

/**
 * Returns the argument for `.meta()` of a schema. When the value is in a list, the list needs a bound: the API server
 * refuses rules that may cost too much.
 */
export const served = (...rules: readonly CelRule[]) => ({ 'x-kubernetes-validations': rules });

/** Maximum length of lists of networks or addresses. The API server's cost estimate for a rule grows with it. */
export const MAX_NETWORKS = 10_000;

const isSet = (field: string) => `has(self.${field}) && self.${field} != ''`;
const anySet = (fields: readonly string[]) => fields.map((field) => `(${isSet(field)})`).join(' || ');
const excludes = (a: string, b: string): CelRule => ({
  rule: `!(${isSet(a)} && ${isSet(b)})`,
  message: `${a} excludes ${b}: remove one of them`,
});

/** A rule of a kind's `spec`: the field, if set, is an address of this family. */
const addressOf = (field: string, family: 4 | 6): CelRule => ({
  rule: `!(${isSet(field)}) || (isIP(self.${field}) && ip(self.${field}).family() == ${family})`,
  message: `${field} must be an IPv${family} address`,
});

export const networkRule: CelRule = {
  rule: 'isCIDR(self)',
  message: 'must be a network in CIDR notation, such as 10.244.0.0/16 or fd00:10:244::/56',
};

export const addressOrNetworkRule: CelRule = {
  rule: 'isCIDR(self) || isIP(self)',
  message: 'must be an address or a network in CIDR notation',
};

export const addressRule: CelRule = { rule: 'isIP(self)', message: 'must be an IP address' };

export const addressOrEmptyRule: CelRule = {
  rule: "self == '' || isIP(self)",
  message: 'must be an IP address',
};

const port = '[0-9]{1,5}';
export const peerIpRule: CelRule = {
  rule: [
    "self == ''",
    'isIP(self)',
    `(self.matches('^[0-9.]+:${port}$') && isIP(self.split(':')[0]))`,
    `(self.matches('^[\\\\[][^\\\\]]+[\\\\]]:${port}$') && isIP(self.split(']')[0].replace('[', '')))`,
    "(self.matches('^[fF][eE][89abAB][^%]*%[a-zA-Z0-9_.-]{1,15}$') && isIP(self.split('%')[0]))",
  ].join(' || '),
  message: 'must be an address, a.b.c.d:port, [v6]:port or a link-local address with %interface',
};

export const holdTimeRule: CelRule = {
  rule: "!has(self.holdTime) || duration(self.holdTime) == duration('0s') || (duration(self.holdTime) >= duration('3s') && duration(self.holdTime) <= duration('65535s'))",
  message: 'holdTime must be 0s or between 3s and 65535s',
};

const usesLoadBalancer = "has(self.allowedUses) && self.allowedUses.exists(use, use == 'LoadBalancer')";
const overlaps = (network: string) =>
  `cidr('${network}').containsCIDR(self.cidr) || cidr(self.cidr).containsCIDR('${network}')`;
const isIpv4 = 'cidr(self.cidr).ip().family() == 4';

export const ipPoolRules: readonly CelRule[] = [
  {
    rule: "!(has(self.ipipMode) && self.ipipMode != 'Never' && has(self.vxlanMode) && self.vxlanMode != 'Never')",
    message: 'ipipMode and vxlanMode exclude each other: set one of them to Never',
  },
  {
    rule: "!(self.cidr.contains(':') && has(self.ipipMode) && self.ipipMode != 'Never')",
    message: 'IPIP carries IPv4 only: use vxlanMode, or Never',
  },
  {
    rule: '!isCIDR(self.cidr) || cidr(self.cidr).masked() == cidr(self.cidr)',
    message: 'cidr has bits set after the prefix length: write the network, such as 10.244.0.0/16',
  },
  {
    rule: `!isCIDR(self.cidr) || !(${overlaps('169.254.0.0/16')} || ${overlaps('fe80::/10')})`,
    message: 'cidr overlaps the link-local range 169.254.0.0/16 or fe80::/10: choose another range',
  },
  {
    rule: `!isCIDR(self.cidr) || !has(self.blockSize) || self.blockSize == 0 || (${isIpv4} ? (self.blockSize >= 20 && self.blockSize <= 32) : (self.blockSize >= 116 && self.blockSize <= 128))`,
    message: 'blockSize must be a prefix length of 20 to 32 for IPv4, of 116 to 128 for IPv6',
  },
  {
    rule: `!isCIDR(self.cidr) || (has(self.disabled) && self.disabled) || cidr(self.cidr).prefixLength() <= (has(self.blockSize) && self.blockSize != 0 ? self.blockSize : (${isIpv4} ? 26 : 122))`,
    message: 'a block is larger than the pool: use a larger blockSize, or a larger pool',
  },
  {
    rule: `!(${usesLoadBalancer} && self.allowedUses.size() > 1)`,
    message: 'allowedUses: LoadBalancer excludes all other uses: use a separate pool',
  },
  {
    rule: `!(${usesLoadBalancer} && has(self.disableBGPExport) && self.disableBGPExport)`,
    message: 'a LoadBalancer pool must be exported: set disableBGPExport to false',
  },
  {
    rule: `!(${usesLoadBalancer}) || ((!has(self.ipipMode) || self.ipipMode == 'Never') && (!has(self.vxlanMode) || self.vxlanMode == 'Never'))`,
    message: 'a LoadBalancer pool has no encapsulation: set ipipMode and vxlanMode to Never',
  },
  {
    rule: `!(${usesLoadBalancer}) || !has(self.nodeSelector) || self.nodeSelector in ['', 'all()']`,
    message: 'nodeSelector must be all() for a LoadBalancer pool: its addresses belong to no node',
  },
  {
    rule: `!(has(self.allowedUses) && self.allowedUses.exists(use, use == 'Tunnel') && ${isSet('namespaceSelector')})`,
    message: 'namespaceSelector excludes the use Tunnel: set allowedUses to [Workload]',
  },
  {
    rule: 'self.cidr == oldSelf.cidr',
    message: 'cidr cannot be changed: create a new pool and disable this one',
  },
  {
    rule: '!has(self.blockSize) || !has(oldSelf.blockSize) || self.blockSize == oldSelf.blockSize',
    message: 'blockSize cannot be changed: create a new pool and disable this one',
  },
];

const remotes = ['peerIP', 'peerSelector', 'localWorkloadSelector', 'peerCIDR'];

export const bgpPeerRules: readonly CelRule[] = [
  excludes('node', 'nodeSelector'),
  excludes('peerIP', 'peerSelector'),
  excludes('peerIP', 'peerCIDR'),
  excludes('peerSelector', 'peerCIDR'),
  excludes('peerIP', 'localWorkloadSelector'),
  excludes('peerSelector', 'localWorkloadSelector'),
  {
    rule: `!(has(self.asNumber) && ${isSet('peerSelector')})`,
    message: 'asNumber excludes peerSelector: the selected peers have their own AS numbers',
  },
  {
    rule: `!(has(self.passive) && self.passive && ${isSet('peerSelector')})`,
    message: 'passive excludes peerSelector: remove one of them',
  },
  {
    rule: '!(has(self.nextHopMode) && has(self.keepOriginalNextHop) && self.keepOriginalNextHop)',
    message: 'nextHopMode excludes keepOriginalNextHop: remove keepOriginalNextHop',
  },
  {
    rule: anySet(remotes),
    message: 'peerIP is required unless peerSelector or localWorkloadSelector is set',
  },
  {
    rule: `has(self.asNumber) || !(${anySet(['localWorkloadSelector', 'peerCIDR'])})`,
    message: 'asNumber is required: the AS number of the peer',
  },
  {
    rule: `!(${isSet('reachableBy')}) || (${isSet('peerIP')})`,
    message: 'reachableBy needs peerIP',
  },
  {
    rule: `!(${isSet('reachableBy')} && ${isSet('peerIP')}) || self.reachableBy.contains(':') != self.peerIP.matches('^[0-9.]+(:[0-9]+)?$')`,
    message: 'reachableBy must be an address of the same family as peerIP',
  },
  holdTimeRule,
];

export const filterRuleRules: readonly CelRule[] = [
  {
    rule: 'has(self.cidr) == has(self.matchOperator)',
    message: 'matchOperator and cidr must be set together: set both or neither',
  },
  { rule: '!has(self.prefixLength) || has(self.cidr)', message: 'prefixLength needs cidr' },
  {
    rule: "!has(self.operations) || self.action != 'Reject'",
    message: 'operations have no effect on a rejected route: remove them',
  },
];

export const filterOperationRule: CelRule = {
  rule: '(has(self.addCommunity) ? 1 : 0) + (has(self.prependASPath) ? 1 : 0) + (has(self.setPriority) ? 1 : 0) == 1',
  message: 'must have exactly one of addCommunity, prependASPath, setPriority',
};

const taken = [...hostProtocols.keys(), BGP_PROTOCOL].sort((a, b) => a - b).join(', ');
const deviceRouteProtocolRule: CelRule = {
  rule: `!has(self.deviceRouteProtocol) || !(self.deviceRouteProtocol in [${taken}])`,
  message: `deviceRouteProtocol must be none of ${taken}: the host and Cali's BGP routes use them`,
};

/**
 * There is no rule for natPortRange, because the cost of rules about int-or-string cannot be bounded. Agents ignore an
 * invalid one and report it.
 */
export const felixRules: readonly CelRule[] = [
  deviceRouteProtocolRule,
  addressOf('natOutgoingAddress', 4),
  addressOf('deviceRouteSourceAddress', 4),
  addressOf('deviceRouteSourceAddressIPv6', 6),
  {
    rule: '!has(self.routeTableRange) || !has(self.routeTableRanges)',
    message: 'routeTableRanges excludes routeTableRange: remove one of them',
  },
];

export const bgpConfigurationRules: readonly CelRule[] = [
  holdTimeRule,
  addressOf('localWorkloadPeeringIPV4', 4),
  addressOf('localWorkloadPeeringIPV6', 6),
];

export const bgpConfigurationNameRule: CelRule = {
  rule: "self.metadata.name == 'default' || self.metadata.name.startsWith('node.')",
  message: 'the name must be "default" or "node.<name of the node>"',
};

export const ipamConfigurationNameRule: CelRule = {
  rule: "self.metadata.name == 'default'",
  message: 'the name must be "default": there is one per cluster',
};

export const ipamConfigurationRule: CelRule = {
  rule: '!(has(self.autoAllocateBlocks) && !self.autoAllocateBlocks) || (has(self.strictAffinity) && self.strictAffinity)',
  message: 'autoAllocateBlocks may be false only while strictAffinity is true',
};
