/** The agent's settings from the environment, with Calico's names when Calico has one (reference 7.3). */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { safeParse } from 'zod/v4/core';
import { felixParameters } from '../../datastore/schema/cluster.ts';
import { parseAsNumber } from '../../datastore/schema/fields.ts';
import { schemaSentence } from '../../datastore/schema-sentences.ts';
import { reflectorNamespaces } from '../../felix/calc/bgp/reflectors.ts';
import { type Family, formatAddress, parseAddress, parseCidr } from '../../lib/cidr.ts';
import { whyNoHost } from '../../lib/host-address.ts';
import { isLabelName, isObjectName } from '../../lib/kubernetes-names.ts';
import { isSeverity } from '../../lib/log.ts';
import { printable } from '../../lib/plain-text.ts';
import { type Environment, Variables } from '../../lib/variables.ts';
import { DEFAULT_PROTOCOLS, refusal } from '../../model/route-protocols.ts';
import { parseMethod } from './autodetection-method.ts';
import { type DefaultPools, defaultPools } from './pool-settings.ts';

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
  // When undefined here, from FelixConfiguration and BGPConfiguration (agent/inputs/settings.ts).
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
  /** Service whose endpoint a reflector is that has its configuration from the cluster. */
  readonly reflectorService: string | undefined;
  /** TCP port of such a reflector. */
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

const WHOLE_NAME = 'must be lower case letters, digits, "-" and ".", such as node-1.example.com';
const NAMESPACE = 'must be a namespace: lower case letters, digits and "-"';

/** Throws CodedError CONFIG with a sentence that names the variable, its value and the remedy. */
export function readConfig(environment: Environment): AgentConfig {
  const variables = new Variables(environment);
  const choose = <T extends string>(name: string, choices: readonly T[], fallback: T) =>
    variables.oneOf(name, choices, fallback);
  const namespace = variables.parsed('POD_NAMESPACE', nameIf(isLabelName), NAMESPACE) ?? 'kube-system';
  const seconds = variables.whole('CALI_RESYNC_INTERVAL', undefined, 1, 86400);
  const protocol = bgpRouteProtocol(variables);
  const addresses = { ip: addressOf(variables, 'IP', 4), ip6: addressOf(variables, 'IP6', 6) };
  if (addresses.ip === 'none' && addresses.ip6 === 'none')
    variables.refuse('IP6', 'IP is none too: set one of them to an address of this node');
  // felix/dataplane/sysctls.ts uses it.
  variables.parsed('CALI_PROC_SYS', nameIf(path.isAbsolute), 'must be an absolute path');
  return {
    node: nodeName(variables),
    kubeconfig: variables.text('KUBECONFIG'),
    namespace,
    reflectorNamespaces: namespacesOf(variables, namespace),
    runDirectory:
      variables.parsed('CALI_RUN_DIR', nameIf(path.isAbsolute), 'must be an absolute path') ??
      '/var/run/cali',
    ...addresses,
    ipMethod: methodOf(variables, 'IP_AUTODETECTION_METHOD'),
    ip6Method: methodOf(variables, 'IP6_AUTODETECTION_METHOD'),
    defaultPools: defaultPools(variables),
    asNumber: variables.parsed(
      'AS',
      nameIf((text) => parseAsNumber(text) !== undefined),
      'must be an AS number: 1 to 4294967295, or two numbers below 65536 joined by a dot',
    ),
    routerId: routerIdSetting(variables),
    logSeverity:
      severity(variables, 'BGP_LOGSEVERITYSCREEN') ?? severity(variables, 'FELIX_LOGSEVERITYSCREEN'),
    healthHost: variables.text('FELIX_HEALTHHOST'),
    healthPort: variables.whole('FELIX_HEALTHPORT', undefined, 0, 65535),
    metricsHost: variables.text('FELIX_PROMETHEUSMETRICSHOST'),
    metricsPort: variables.whole('FELIX_PROMETHEUSMETRICSPORT', undefined, 0, 65535),
    restartTimeSeconds: variables.whole('CALI_RESTART_TIME', 120, 1, 4095),
    unreachableSeconds: variables.whole('CALI_UNREACHABLE_TIME', 10, 0, 4095),
    wireLog: wireLogOf(variables),
    hasDetailedBgpMetrics: choose('CALI_BGP_METRICS', ['Summary', 'Detailed'], 'Summary') === 'Detailed',
    meshTtlSecurity: choose('CALI_MESH_TTL_SECURITY', ['Auto', 'Disabled'], 'Auto') === 'Auto',
    holdTimeSeconds: variables.whole('CALI_HOLD_TIME', 90, 3, 65535),
    bgpRouteProtocol: protocol,
    reflectorService: variables.parsed(
      'CALI_REFLECTOR_SERVICE',
      nameIf(isLabelName),
      'must be the name of a Service: lower case letters, digits and "-"',
    ),
    reflectorPort: variables.whole('CALI_REFLECTOR_PORT', 1790, 1, 65535),
    resyncMs: seconds === undefined ? undefined : seconds * 1000,
    backend: choose('CALICO_NETWORKING_BACKEND', ['bird', 'vxlan', 'none'], 'bird'),
    ipam: choose('CALI_IPAM', ['cali-ipam', 'host-local'], 'cali-ipam'),
    felix: felixOf(variables, protocol),
  };
}

/** Returns a parser of texts that satisfy a condition. */
function nameIf(isValid: (text: string) => boolean): (text: string) => string | undefined {
  return (text) => (isValid(text) ? text : undefined);
}

/** Returns the namespaces of CALI_REFLECTOR_NAMESPACES. Throws CodedError CONFIG. */
function namespacesOf(variables: Variables, own: string): readonly string[] {
  const parse = (text: string) => {
    const names = reflectorNamespaces(text, own);
    return names.every(isLabelName) ? names : undefined;
  };
  return (
    variables.parsed('CALI_REFLECTOR_NAMESPACES', parse, 'must be namespaces separated by commas') ?? [own]
  );
}

function addressOf(variables: Variables, name: string, family: Family): string | undefined {
  const parse = (text: string) => {
    if (text === 'autodetect' || text === 'none') return text;
    const cidr = parseCidr(text);
    if (cidr?.family !== family) return undefined;
    const reason = whyNoHost(cidr);
    return reason === undefined ? text : variables.refuse(name, `${reason}: write an address of this node`);
  };
  return variables.parsed(
    name,
    parse,
    `must be "autodetect", "none", or an IPv${family} address with or without prefix length`,
  );
}

function methodOf(variables: Variables, name: string): string | undefined {
  const text = variables.text(name);
  const method = text === undefined ? undefined : parseMethod(text);
  return typeof method === 'string' ? variables.refuse(name, method) : text;
}

function severity(variables: Variables, name: string): string | undefined {
  return variables.parsed(name, nameIf(isSeverity), 'must be debug, info, warning or error');
}

/** Returns `all`, or canonical addresses separated by commas. */
function wireLogOf(variables: Variables): string | undefined {
  const parse = (text: string) => {
    const peers = text.split(',').map((one) => {
      const [address = '', ...zone] = one.trim().split('%');
      const parsed = parseAddress(address);
      return one.trim() === 'all' ? 'all' : parsed && [formatAddress(parsed), ...zone].join('%');
    });
    return peers.every((peer) => peer !== undefined) ? peers.join(',') : undefined;
  };
  return variables.parsed(
    'CALI_BGP_WIRE_LOG',
    parse,
    'must be all, or addresses of peers separated by commas',
  );
}

function bgpRouteProtocol(variables: Variables): number {
  const value = variables.whole('CALI_BGP_ROUTE_PROTOCOL', DEFAULT_PROTOCOLS.bgp, 1, 255);
  const reason = refusal(value, 0);
  return reason ? variables.refuse('CALI_BGP_ROUTE_PROTOCOL', `${reason}: choose another number`) : value;
}

/** Parses a BGP identifier, which has four octets and is not zero (RFC 6286 section 2.1). */
function routerIdSetting(variables: Variables): string | undefined {
  const parse = (text: string) => {
    if (text === 'hash') return text;
    const address = parseAddress(text);
    return address?.family === 4 && address.value !== 0n ? formatAddress(address) : undefined;
  };
  return variables.parsed(
    'CALICO_ROUTER_ID',
    parse,
    'must be hash, or four octets such as 192.0.2.1 that are not all zero',
  );
}

/** Parses each parameter by its type: number, boolean, text, or a list separated by commas (Calico 1.10). */
function felixOf(variables: Variables, bgpProtocol: number): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, type] of Object.entries(felixParameters)) {
    const variable = `FELIX_${name.toUpperCase()}`;
    const text = variables.text(variable);
    if (text === undefined) continue;
    const truth = { true: true, false: false }[text.toLowerCase()];
    const readings = [Number(text), truth, text, text.split(',')].filter((one) => one !== undefined);
    const parsed = readings.map((reading) => safeParse(type, reading)).find(({ success }) => success);
    if (!parsed) {
      const [issue] = safeParse(type, text, { error: schemaSentence }).error?.issues ?? [];
      variables.refuse(variable, issue?.message ?? 'is invalid: remove it');
    }
    const reason = name === 'deviceRouteProtocol' ? refusal(Number(text), bgpProtocol) : undefined;
    if (reason !== undefined) variables.refuse(variable, `${reason}: choose another number`);
    values[name] = parsed.data;
  }
  return values;
}

function nodeName(variables: Variables): string {
  const name = variables.parsed('NODENAME', nameIf(isObjectName), WHOLE_NAME);
  if (name) return name;
  const file = variables.text('CALICO_NODENAME_FILE');
  if (file === undefined) return (variables.text('HOSTNAME') ?? os.hostname()).toLowerCase();
  const text = nameIn(file, variables);
  return isObjectName(text)
    ? text
    : variables.refuse(
        'CALICO_NODENAME_FILE',
        `"${printable(text, 100)}" in it is not the name of a Node: set NODENAME`,
      );
}

function nameIn(file: string, variables: Variables): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return variables.refuse('CALICO_NODENAME_FILE', 'cannot be read. Set NODENAME, or mount the file.');
  }
}
