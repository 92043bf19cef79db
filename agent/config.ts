/** The agent's settings from the environment, with Calico's names when Calico has one (reference 7.3). */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { safeParse } from 'zod/v4/core';
import { felixParameters } from '../datastore/schema/cluster.ts';
import { reflectorNamespaces } from '../felix/calc/bgp/reflectors.ts';
import { DEFAULT_PROTOCOLS, refusal } from '../felix/dataplane/route-protocols.ts';
import { type Family, formatAddress, parseAddress } from '../lib/cidr.ts';
import { CodedError } from '../lib/errors.ts';

export interface AgentConfig {
  readonly node: string;
  readonly kubeconfig: string | undefined;
  /** Namespace of the agent and of Secrets with BGP passwords. */
  readonly namespace: string;
  /** Namespaces whose Services may be route reflectors. */
  readonly reflectorNamespaces: readonly string[];
  readonly runDirectory: string;
  /** `autodetect`, `none`, an address or a CIDR; undefined keeps the Node's address. */
  readonly ip: string | undefined;
  readonly ip6: string | undefined;
  /** Method of autodetection (Calico 7.4); undefined: the Node's InternalIP, then first-found. */
  readonly ipMethod: string | undefined;
  readonly ip6Method: string | undefined;
  /** Pools to create when there are none. */
  readonly defaultPools: DefaultPools;
  /** AS number for this node's annotation; undefined does not change it. */
  readonly asNumber: string | undefined;
  /** `hash` or a dotted quad; undefined: the node's IPv4 address. */
  readonly routerId: string | undefined;
  // When undefined here, from FelixConfiguration and BGPConfiguration (agent/settings.ts).
  readonly logSeverity: string | undefined;
  readonly healthHost: string | undefined;
  readonly healthPort: number | undefined;
  readonly metricsHost: string | undefined;
  readonly metricsPort: number | undefined;
  /** Seconds for which peers keep our routes while we restart, and for which we wait for theirs. */
  readonly restartTimeSeconds: number;
  readonly unreachableSeconds: number;
  /** Whether mesh sessions within a subnet use GTSM if both nodes support it (RFC 5082). */
  readonly meshTtlSecurity: boolean;
  readonly holdTimeSeconds: number;
  /** TCP port of a reflector with configuration from the cluster. */
  readonly reflectorPort: number;
  /** Protocol number of routes learned by BGP. */
  readonly bgpRouteProtocol: number;
  /** Whether mesh sessions also have all metric series. */
  readonly hasDetailedBgpMetrics: boolean;
  /** Peers whose messages are logged, decoded: `all`, or addresses separated by commas. */
  readonly wireLog: string | undefined;
  readonly resyncMs: number | undefined;
  /** `bird` (Calico's name for routes from BGP), `vxlan` (no BGP) or `none` (no routes to other nodes). */
  readonly backend: 'bird' | 'vxlan' | 'none';
  /** Source of addresses: blocks of the pools, or the node's podCIDR. */
  readonly ipam: 'cali-ipam' | 'host-local';
  /** FelixConfiguration's parameters from FELIX_<NAME>, which override those of the datastore. */
  readonly felix: Readonly<Record<string, unknown>>;
}

export interface DefaultPools {
  readonly isWanted: boolean;
  /** By family; undefined: the cluster's pod network, if the agent finds it. */
  readonly cidrs: Readonly<Record<Family, string | undefined>>;
  readonly blockSizes: Readonly<Record<Family, number | undefined>>;
  readonly natOutgoing: Readonly<Record<Family, boolean>>;
  readonly ipipMode: string;
  readonly vxlanModes: Readonly<Record<Family, string>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws CodedError CONFIG with a sentence that names the variable. */
export function readConfig(environment: Environment): AgentConfig {
  const number = <T extends number | undefined>(
    name: string,
    fallback: T,
    minimum: number,
    maximum: number,
  ): number | T => {
    const text = environment[name];
    if (text === undefined || text === '') return fallback;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= minimum && value <= maximum) return value;
    throw new CodedError('CONFIG', `${name}=${text}: must be a whole number from ${minimum} to ${maximum}`);
  };
  const namespace = environment['POD_NAMESPACE'] || 'kube-system';
  const seconds = number('CALI_RESYNC_INTERVAL', undefined, 1, 86400);
  return {
    node: nodeName(environment),
    kubeconfig: environment['KUBECONFIG'] || undefined,
    namespace,
    reflectorNamespaces: reflectorNamespaces(environment['CALI_REFLECTOR_NAMESPACES'], namespace),
    runDirectory: environment['CALI_RUN_DIR'] || '/var/run/cali',
    ip: environment['IP'] || undefined,
    ip6: environment['IP6'] || undefined,
    ipMethod: environment['IP_AUTODETECTION_METHOD'] || undefined,
    ip6Method: environment['IP6_AUTODETECTION_METHOD'] || undefined,
    defaultPools: {
      isWanted: environment['NO_DEFAULT_POOLS'] !== 'true',
      cidrs: {
        4: environment['CALICO_IPV4POOL_CIDR'] || undefined,
        6: environment['CALICO_IPV6POOL_CIDR'] || undefined,
      },
      blockSizes: {
        4: number('CALICO_IPV4POOL_BLOCK_SIZE', undefined, 20, 32),
        6: number('CALICO_IPV6POOL_BLOCK_SIZE', undefined, 116, 128),
      },
      natOutgoing: {
        4: environment['CALICO_IPV4POOL_NAT_OUTGOING'] !== 'false',
        6: environment['CALICO_IPV6POOL_NAT_OUTGOING'] === 'true',
      },
      ipipMode: environment['CALICO_IPV4POOL_IPIP'] || 'Never',
      vxlanModes: {
        4: environment['CALICO_IPV4POOL_VXLAN'] || 'Never',
        6: environment['CALICO_IPV6POOL_VXLAN'] || 'Never',
      },
    },
    asNumber: environment['AS'] || undefined,
    routerId: routerIdSetting(environment['CALICO_ROUTER_ID'] || undefined),
    logSeverity: environment['BGP_LOGSEVERITYSCREEN'] || environment['FELIX_LOGSEVERITYSCREEN'] || undefined,
    healthHost: environment['FELIX_HEALTHHOST'] || undefined,
    healthPort: number('FELIX_HEALTHPORT', undefined, 0, 65535),
    metricsHost: environment['FELIX_PROMETHEUSMETRICSHOST'] || undefined,
    metricsPort: number('FELIX_PROMETHEUSMETRICSPORT', undefined, 0, 65535),
    restartTimeSeconds: number('CALI_RESTART_TIME', 120, 1, 4095),
    unreachableSeconds: number('CALI_UNREACHABLE_TIME', 10, 0, 4095),
    wireLog: environment['CALI_BGP_WIRE_LOG'] || undefined,
    hasDetailedBgpMetrics: bgpMetricsOf(environment['CALI_BGP_METRICS'] || 'Summary'),
    meshTtlSecurity: meshTtlSecurityOf(environment['CALI_MESH_TTL_SECURITY'] || 'Auto'),
    holdTimeSeconds: number('CALI_HOLD_TIME', 90, 3, 65535),
    bgpRouteProtocol: bgpRouteProtocol(number('CALI_BGP_ROUTE_PROTOCOL', DEFAULT_PROTOCOLS.bgp, 1, 255)),
    reflectorPort: number('CALI_REFLECTOR_PORT', 1790, 1, 65535),
    resyncMs: seconds === undefined ? undefined : seconds * 1000,
    backend: backendOf(environment['CALICO_NETWORKING_BACKEND'] || 'bird'),
    ipam: ipamOf(environment['CALI_IPAM'] || 'cali-ipam'),
    felix: felixOf(environment),
  };
}

function bgpRouteProtocol(value: number): number {
  const reason = refusal(value, 0);
  if (reason) throw new CodedError('CONFIG', `CALI_BGP_ROUTE_PROTOCOL=${value}: ${reason}`);
  return value;
}

/** Parses a BGP identifier, which has four octets and is not zero (RFC 6286 section 2.1). */
function routerIdSetting(text: string | undefined): string | undefined {
  if (text === undefined || text === 'hash') return text;
  const address = parseAddress(text);
  if (address?.family === 4 && address.value !== 0n) return formatAddress(address);
  throw new CodedError(
    'CONFIG',
    `CALICO_ROUTER_ID=${text}: must be hash, or four octets such as 192.0.2.1 that are not all zero`,
  );
}

function meshTtlSecurityOf(text: string): boolean {
  if (text === 'Auto' || text === 'Disabled') return text === 'Auto';
  throw new CodedError('CONFIG', `CALI_MESH_TTL_SECURITY=${text}: must be Auto or Disabled`);
}

function bgpMetricsOf(text: string): boolean {
  if (text === 'Summary' || text === 'Detailed') return text === 'Detailed';
  throw new CodedError('CONFIG', `CALI_BGP_METRICS=${text}: must be Summary or Detailed`);
}

function backendOf(text: string): AgentConfig['backend'] {
  if (text === 'bird' || text === 'vxlan' || text === 'none') return text;
  throw new CodedError('CONFIG', `CALICO_NETWORKING_BACKEND=${text}: must be bird, vxlan or none`);
}

function ipamOf(text: string): AgentConfig['ipam'] {
  if (text === 'cali-ipam' || text === 'host-local') return text;
  throw new CodedError('CONFIG', `CALI_IPAM=${text}: must be cali-ipam or host-local`);
}

/** Parses each parameter by its type: number, boolean, text, or a list separated by commas (Calico 1.10). */
function felixOf(environment: Environment): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, type] of Object.entries(felixParameters)) {
    const variable = `FELIX_${name.toUpperCase()}`;
    const text = environment[variable];
    if (text === undefined || text === '') continue;
    const truth = { true: true, false: false }[text.toLowerCase()];
    const readings = [Number(text), truth, text, text.split(',')].filter((one) => one !== undefined);
    const parsed = readings.map((reading) => safeParse(type, reading)).find(({ success }) => success);
    if (!parsed)
      throw new CodedError(
        'CONFIG',
        `${variable}=${text}: ${safeParse(type, text).error!.issues[0]!.message}`,
      );
    values[name] = parsed.data;
  }
  return values;
}

function nodeName(environment: Environment): string {
  if (environment['NODENAME']) return environment['NODENAME'];
  const file = environment['CALICO_NODENAME_FILE'];
  if (file) {
    try {
      return readFileSync(file, 'utf8').trim();
    } catch (error) {
      throw new CodedError(
        'CONFIG',
        `CALICO_NODENAME_FILE=${file}: cannot be read. Set NODENAME, or mount the file.`,
        { cause: error },
      );
    }
  }
  return (environment['HOSTNAME'] || os.hostname()).toLowerCase();
}
