/**
 * Parameters of FelixConfiguration that Cali validates by Calico's rules but does not implement (Calico 1.10,
 * felixconfig.go and validator.go): a table of types, with the reason for each.
 */
import { z } from 'zod';
import { parseAddress } from '../../lib/cidr.ts';
import { MAX_NETWORKS } from './cel-rules.ts';
import { addressOrNetwork, anyCase, interfaceName, selector } from './fields.ts';
import { describeReason, type FieldsWithoutEffect, type WithoutEffect } from './without-effect.ts';

const BPF = 'Cali has no eBPF dataplane';
const DEBUG = 'it serves only to debug Felix';
const FLOWS = 'Cali collects no flow logs';
const GO = 'Cali is not a Go program';
const IPTABLES = 'Cali writes no iptables rules, only the nftables table inet cali';
const LOGS = 'Cali logs JSON only to standard output, at the level of logSeverityScreen';
const METRICS = 'Cali serves the metrics of docs/metrics.md over plain HTTP';
const POLICY = 'Cali enforces no network policy';
const PRIORITY = 'BGPConfiguration sets the metric of normal routes; Cali does not support live migration';
const REPORTING = 'Cali does not report endpoints: use /readyz and calictl node status';
const TIMERS = 'Cali checks the kernel on every change, and every routeRefreshInterval';
const USAGE = 'Cali does not report usage';
const WIREGUARD = 'Cali does not encrypt: packets between nodes travel in clear text';
const XDP = 'Cali loads no XDP programs';

const flag = z.boolean();
const text = z.string();
const integer = (min: number, max = Number.MAX_SAFE_INTEGER) => z.number().int().min(min).max(max);
const number = z.number().int();
const port = integer(0, 65535);
const mask = integer(0, 0xffff_ffff);
const toggle = z.enum(['Enabled', 'Disabled']);

/** A Go duration, or empty. */
const period = z
  .string()
  .regex(/^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))*$/, 'must be a duration such as 90s');

/** One of the words in any case, or empty. */
const word = (...names: string[]) =>
  z.string().regex(new RegExp(`^(${names.map(anyCase).join('|')})?$`), `must be ${listOf(names)}`);

const listOf = (names: readonly string[]) =>
  names.length === 1 ? names[0]! : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;

/** A port, or a range of ports. */
const ports = z
  .union([port, z.string().regex(/^\d{1,5}(:\d{1,5})?$/, 'must be a port or low:high')])
  .refine((value) => {
    const [low = 0, high = low] = String(value).split(':').map(Number);
    return low <= high && high <= 65535;
  }, 'must be a port or low:high, with ports up to 65535')
  .meta({ 'x-kubernetes-int-or-string': true });

/** A regular expression in RE2 (Felix) that JavaScript also compiles, once the flags that only Go has are removed. */
const pattern = z.string().refine((value) => {
  try {
    new RegExp(value.replace(/^\(\?[imsU]+\)/, ''));
    return true;
  } catch {
    return false;
  }
}, 'must be a regular expression');

const sourceAddress = (family: 4 | 6) =>
  z
    .string()
    .max(45)
    .refine(
      (value) => value === '' || parseAddress(value)?.family === family,
      `must be an IPv${family} address`,
    );

const interfaceFilter = z
  .string()
  .regex(
    /^[a-zA-Z0-9:._+-]{1,15}$/,
    'must be 1 to 15 letters, digits, ":", ".", "_", "-" and "+", as in the name of an interface',
  );

const networks = z.array(addressOrNetwork.describe('An address or a network.')).max(MAX_NETWORKS);

const failsafePorts = z.array(
  z
    .strictObject({
      protocol: z
        .string()
        .regex(/^([a-zA-Z]+|\d{1,3})$/, 'must be TCP, UDP or another protocol')
        .optional()
        .describe('TCP, UDP or another protocol.'),
      port: port.describe('The port.'),
      net: z
        .union([z.literal(''), addressOrNetwork])
        .optional()
        .describe('An address or a network.'),
    })
    .describe('A port that policy would leave open.'),
);

const tableRange = (max: number, sentence: string) =>
  z
    .strictObject({ min: number.describe('First table.'), max: number.describe('Last table.') })
    .refine((range) => range.min >= 1 && range.min <= range.max && range.max <= max, sentence);

const bpfTimeout = z
  .string()
  .regex(/^(Auto|([0-9]+(\.[0-9]*)?(us|ms|s|m|h))+)$/, 'must be Auto or a duration such as 90s')
  .optional()
  .describe('Auto or a duration.');

/** A namespace's name is openstack-region-NAME, and a DNS label has at most 63 characters. */
const MAX_REGION = 63 - 'openstack-region-'.length;
const MAX_TABLES = 65535;

interface Parameter extends WithoutEffect {
  readonly type: z.ZodType;
}

const group = (reason: string, types: Readonly<Record<string, z.ZodType | [z.ZodType, ...unknown[]]>>) =>
  Object.fromEntries(
    Object.entries(types).map(([name, of]): [string, Parameter] => {
      const [type, ...neutral] = Array.isArray(of) ? of : [of];
      return [name, { type, reason, neutral }];
    }),
  );

const tcxOrTc = z.enum(['TC', 'TCX', 'Netkit']);

const parameters: Readonly<Record<string, Parameter>> = {
  ...group(BPF, {
    bpfEnabled: [flag, false],
    bpfAttachType: tcxOrTc,
    bpfCTLBLogFilter: text,
    bpfConnectTimeLoadBalancing: z.enum(['TCP', 'Enabled', 'Disabled']),
    bpfConnectTimeLoadBalancingEnabled: flag,
    bpfConntrackLogLevel: [z.enum(['Off', 'Debug']), 'Off'],
    bpfConntrackMode: z.enum(['Auto', 'Userspace', 'BPFProgram']),
    bpfConntrackTimeouts: z.strictObject({
      creationGracePeriod: bpfTimeout,
      genericTimeout: bpfTimeout,
      icmpTimeout: bpfTimeout,
      tcpEstablished: bpfTimeout,
      tcpFinsSeen: bpfTimeout,
      tcpResetSeen: bpfTimeout,
      tcpSynSent: bpfTimeout,
      udpTimeout: bpfTimeout,
    }),
    bpfDSROptoutCIDRs: networks,
    bpfDataIfacePattern: pattern,
    bpfDisableGROForIfaces: pattern,
    bpfDisableUnprivileged: flag,
    bpfEnforceRPF: word('Disabled', 'Strict', 'Loose'),
    bpfExcludeCIDRsFromNAT: networks,
    bpfExportBufferSizeMB: number,
    bpfExtToServiceConnmark: mask,
    bpfExternalServiceMode: word('Tunnel', 'DSR'),
    bpfForceTrackPacketsFromIfaces: z.array(interfaceFilter.describe('Name of interfaces.')),
    bpfHostConntrackBypass: flag,
    bpfHostNetworkedNATWithoutCTLB: toggle,
    bpfIPFragTimeout: period,
    bpfIPFragmentReassemblyEnabled: flag,
    bpfJITHardening: z.enum(['Auto', 'Strict']),
    bpfKubeProxyHealthzPort: port,
    bpfKubeProxyIptablesCleanupEnabled: flag,
    bpfKubeProxyMinSyncPeriod: period,
    bpfL3IfacePattern: pattern,
    bpfLogFilters: z.record(interfaceName, z.string().describe('A filter expression.')),
    bpfLogLevel: [word('Off', 'Info', 'Debug'), 'Off'],
    bpfMaglevMaxEndpointsPerService: integer(1, 3000),
    bpfMaglevMaxServices: integer(1, 3000),
    bpfMapSizeConntrack: number,
    bpfMapSizeConntrackCleanupQueue: integer(1),
    bpfMapSizeConntrackScaling: word('Disabled', 'DoubleIfFull'),
    bpfMapSizeIPSets: number,
    bpfMapSizeIfState: number,
    bpfMapSizeNATAffinity: number,
    bpfMapSizeNATBackend: number,
    bpfMapSizeNATFrontend: number,
    bpfMapSizePerCpuConntrack: number,
    bpfMapSizeRoute: number,
    bpfOverlayHostSourceIP: z.enum(['TunnelAddress', 'HostAddress']),
    bpfPSNATPorts: ports,
    bpfPolicyDebugEnabled: [flag, false],
    bpfProfiling: [toggle, 'Disabled'],
    bpfRedirectToPeer: toggle,
    cgroupV2Path: text,
  }),
  ...group(WIREGUARD, {
    wireguardEnabled: [flag, false],
    wireguardEnabledV6: [flag, false],
    wireguardHostEncryptionEnabled: [flag, false],
    wireguardInterfaceName: interfaceName,
    wireguardInterfaceNameV6: interfaceName,
    wireguardKeepAlive: period,
    wireguardListeningPort: integer(1, 65535),
    wireguardListeningPortV6: integer(1, 65535),
    wireguardMTU: number,
    wireguardMTUV6: number,
    wireguardRoutingRulePriority: integer(1, 32765),
    wireguardThreadingEnabled: [flag, false],
    prometheusWireGuardMetricsEnabled: flag,
  }),
  ...group(IPTABLES, {
    chainInsertMode: word('Insert', 'Append'),
    iptablesBackend: word('Auto', 'Legacy', 'NFT'),
    iptablesFilterAllowAction: word('Accept', 'Return'),
    iptablesFilterDenyAction: word('Drop', 'Reject'),
    iptablesLockProbeInterval: period,
    iptablesMangleAllowAction: word('Accept', 'Return'),
    iptablesMarkMask: mask,
    iptablesPostWriteCheckInterval: period,
    iptablesRefreshInterval: period,
    ipsetsRefreshInterval: period,
    maxIpsetSize: number,
    nftablesFilterAllowAction: word('Accept', 'Return'),
    nftablesFilterDenyAction: word('Drop', 'Reject'),
    nftablesFlowTableDataIfacePattern: pattern,
    nftablesFlowTableOffload: [z.enum(['All', 'Disabled']), 'Disabled'],
    nftablesMangleAllowAction: word('Accept', 'Return'),
    nftablesMarkMask: mask,
    nftablesMode: [z.enum(['Disabled', 'Enabled', 'Auto']), 'Enabled', 'Auto'],
    nftablesRefreshInterval: period,
  }),
  ...group(POLICY, {
    defaultEndpointToHostAction: [word('Drop', 'Accept', 'Return'), 'Accept', 'Return'],
    disableConntrackInvalidCheck: flag,
    failsafeInboundHostPorts: failsafePorts,
    failsafeOutboundHostPorts: failsafePorts,
    kubeNodePortRanges: z.array(ports.describe('A port or low:high.')).max(7),
    logActionRateLimit: z
      .string()
      .regex(/^[1-9][0-9]{0,3}\/(second|minute|hour|day)$/, 'must be a rate such as 10/minute'),
    logActionRateLimitBurst: integer(0, 9999),
    logPrefix: z.string().regex(/^[a-zA-Z0-9%: /_-]*$/, 'must consist of letters, digits, spaces and %:/_-'),
    policySyncPathPrefix: text,
    sidecarAccelerationEnabled: [flag, false],
    istioAmbientMode: [toggle, 'Disabled'],
    istioDSCPMark: z.union([z.number(), z.string()]).meta({ 'x-kubernetes-int-or-string': true }),
  }),
  ...group(LOGS, {
    logFilePath: [text, 'none'],
    logSeverityFile: [word('Trace', 'Debug', 'Info', 'Warning', 'Error', 'Fatal'), 'none'],
    logSeveritySys: word('Trace', 'Debug', 'Info', 'Warning', 'Error', 'Fatal'),
    logDebugFilenameRegex: pattern,
  }),
  ...group(DEBUG, {
    debugDisableLogDropping: [flag, false],
    debugHost: text,
    debugMemoryProfilePath: text,
    debugPort: port,
    debugSimulateCalcGraphHangAfter: period,
    debugSimulateDataplaneApplyDelay: period,
    debugSimulateDataplaneHangAfter: period,
  }),
  ...group(FLOWS, {
    flowLogsCollectorDebugTrace: [flag, false],
    flowLogsFlushInterval: period,
    flowLogsGoldmaneServer: text,
    flowLogsLocalReporter: [toggle, 'Disabled'],
    flowLogsPolicyEvaluationMode: [z.enum(['None', 'Continuous']), 'None'],
  }),
  ...group(GO, {
    goGCThreshold: integer(-1),
    goMaxProcs: integer(-1),
    goMemoryLimitMB: integer(-1),
  }),
  ...group(METRICS, {
    prometheusGoMetricsEnabled: [flag, false],
    prometheusMetricsCAFile: text,
    prometheusMetricsCertFile: text,
    prometheusMetricsClientAuth: [
      z.enum([
        'RequireAndVerifyClientCert',
        'RequireAnyClientCert',
        'VerifyClientCertIfGiven',
        'NoClientCert',
      ]),
      'NoClientCert',
    ],
    prometheusMetricsKeyFile: text,
    prometheusProcessMetricsEnabled: [flag, true],
  }),
  ...group(PRIORITY, {
    ipv4ElevatedRoutePriority: integer(1, 2147483646),
    ipv4NormalRoutePriority: [integer(1, 2147483646), 1024],
    ipv6ElevatedRoutePriority: integer(1, 2147483646),
    ipv6NormalRoutePriority: [integer(1, 2147483646), 1024],
    liveMigrationRouteConvergenceTime: period,
  }),
  ...group(REPORTING, {
    endpointReportingDelay: period,
    endpointReportingEnabled: [flag, false],
    endpointStatusPathPrefix: text,
    reportingInterval: [period, '0s'],
    reportingTTL: [period, '0s'],
  }),
  ...group(TIMERS, {
    dataplaneWatchdogTimeout: period,
    healthTimeoutOverrides: z.array(
      z
        .strictObject({
          name: z
            .string()
            .regex(/^[a-zA-Z0-9_ -]+$/, 'must be the name of a Felix component')
            .describe('Name of a Felix component.'),
          timeout: period.describe('Longest time without a report.'),
        })
        .describe('One component and its limit.'),
    ),
    interfaceRefreshInterval: period,
    netlinkTimeout: period,
  }),
  ...group(USAGE, {
    usageReportingEnabled: [flag, false],
    usageReportingInitialDelay: period,
    usageReportingInterval: period,
  }),
  ...group(XDP, {
    genericXDPEnabled: [flag, false],
    xdpEnabled: [flag, false],
    xdpRefreshInterval: period,
  }),
  ...group('Cali does not change cloud settings: disable the check in AWS', {
    awsSrcDstCheck: [z.enum(['DoNothing', 'Enable', 'Disable']), 'DoNothing'],
  }),
  ...group('Cali does not support OpenStack', {
    metadataAddr: [text, 'none'],
    metadataPort: port,
    openstackRegion: z
      .string()
      .max(MAX_REGION)
      .regex(/^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$/, 'must be a DNS label'),
  }),
  ...group('Cali runs only on Linux', { windowsManageFirewallRules: [toggle, 'Disabled'] }),
  ...group('Cali does not support floating IPs: it refuses pods that request them', {
    floatingIPs: [toggle, 'Disabled'],
  }),
  ...group('Cali does not answer ARP or ND for pods in the subnet of a node', {
    localSubnetL2Reachability: [z.enum(['Disabled', 'PodsAndLoadBalancers']), 'Disabled'],
    localSubnetL2ReachabilityRefreshInterval: period,
  }),
  ...group('Cali does not drop packets to Service ranges: kube-proxy handles them', {
    serviceLoopPrevention: [z.enum(['Drop', 'Reject', 'Disabled']), 'Disabled'],
  }),
  ...group('interfaces cali* belong to pods, and all others to the host', {
    interfaceExclude: text,
    interfacePrefix: [text, 'cali'],
  }),
  ...group('Cali has only one dataplane', {
    dataplaneDriver: text,
    useInternalDataplaneDriver: [flag, true],
  }),
  ...group('the kernel chooses the source address of a route', {
    deviceRouteSourceAddress: sourceAddress(4),
    deviceRouteSourceAddressIPv6: sourceAddress(6),
  }),
  ...group('Cali programs all routes that pods need, including tunnel routes, in the main table', {
    programClusterRoutes: z.enum(['Enabled', 'Disabled', 'EnabledIPIPOnly', 'EnabledNoEncapOnly']),
    routeSyncDisabled: [flag, false],
    routeTableRange: tableRange(250, 'must be a range within 1 to 250, min first'),
    routeTableRanges: z
      .array(
        tableRange(0xffff_ffff, 'must be a range of table numbers from 1 to 4294967295, min first').describe(
          'A range.',
        ),
      )
      .refine(
        (ranges) => ranges.reduce((sum, { min, max }) => sum + max - min + 1, 0) <= MAX_TABLES,
        `must name at most ${MAX_TABLES} tables`,
      ),
  }),
  ...group('Cali changes and removes only its own routes', { removeExternalRoutes: [flag, false] }),
  ...group('the agent passes the MTU to the CNI server directly', { requireMTUFile: [flag, false] }),
  ...group('a node with an IPv6 address uses IPv6', { ipv6Support: [flag, true] }),
  ...group('Cali has no feature gates', {
    featureGates: z
      .string()
      .regex(/^\s*([\w-]+=[^=,]+(,|$))*\s*$/, 'must be a list such as Name=value,Other=value'),
  }),
  ...group('Cali reads only the objects "default" and "node.NAME": it does not select nodes by labels', {
    nodeSelector: selector,
  }),
};

/** Types of these parameters, for the kind's schema. */
export const felixShapeWithoutEffect: Readonly<Record<string, z.ZodOptional<z.ZodType>>> = Object.fromEntries(
  Object.entries(parameters).map(([name, { type, reason }]) => [
    name,
    type.optional().describe(describeReason(reason)),
  ]),
);

/** Reasons of these parameters, for the kind's notices. */
export const felixWithoutEffect: FieldsWithoutEffect = parameters;
