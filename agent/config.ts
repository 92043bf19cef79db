/** The agent's settings from the environment, with Calico's names where Calico has one (reference 7.3). */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { CodedError } from '../lib/errors.ts';

export interface AgentConfig {
  readonly node: string;
  readonly kubeconfig: string | undefined;
  /** Where the agent runs, and where Secrets with BGP passwords are. */
  readonly namespace: string;
  readonly runDirectory: string;
  /** `autodetect`, `none`, an address or a CIDR; undefined keeps what the Node says. */
  readonly ip: string | undefined;
  readonly ip6: string | undefined;
  /** AS number for this node's annotation; undefined leaves it alone. */
  readonly asNumber: string | undefined;
  /** undefined: the node's IPv4 address; `hash`; or a dotted quad. */
  readonly routerId: string | undefined;
  // What FelixConfiguration and BGPConfiguration say when it is undefined here (agent/settings.ts).
  readonly logSeverity: string | undefined;
  readonly healthHost: string | undefined;
  readonly healthPort: number | undefined;
  readonly metricsHost: string | undefined;
  readonly metricsPort: number | undefined;
  /** Seconds that peers keep our routes while we restart, and that we wait for them. */
  readonly restartTimeSeconds: number;
  readonly unreachableSeconds: number;
  readonly holdTimeSeconds: number;
  /** Peers whose messages are logged, decoded: `all`, or addresses separated by commas. */
  readonly wireLog: string | undefined;
  readonly resyncMs: number | undefined;
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
    if (Number.isFinite(value) && value >= minimum && value <= maximum) return value;
    throw new CodedError('CONFIG', `${name}=${text}: must be a number from ${minimum} to ${maximum}`);
  };
  const seconds = number('CALI_RESYNC_INTERVAL', undefined, 1, 86400);
  return {
    node: nodeName(environment),
    kubeconfig: environment['KUBECONFIG'] || undefined,
    namespace: environment['POD_NAMESPACE'] || 'kube-system',
    runDirectory: environment['CALI_RUN_DIR'] || '/var/run/cali',
    ip: environment['IP'] || undefined,
    ip6: environment['IP6'] || undefined,
    asNumber: environment['AS'] || undefined,
    routerId: environment['CALICO_ROUTER_ID'] || undefined,
    logSeverity: environment['BGP_LOGSEVERITYSCREEN'] || environment['FELIX_LOGSEVERITYSCREEN'] || undefined,
    healthHost: environment['FELIX_HEALTHHOST'] || undefined,
    healthPort: number('FELIX_HEALTHPORT', undefined, 0, 65535),
    metricsHost: environment['FELIX_PROMETHEUSMETRICSHOST'] || undefined,
    metricsPort: number('FELIX_PROMETHEUSMETRICSPORT', undefined, 0, 65535),
    restartTimeSeconds: number('CALI_RESTART_TIME', 120, 1, 4095),
    unreachableSeconds: number('CALI_UNREACHABLE_TIME', 10, 0, 4095),
    wireLog: environment['CALI_BGP_WIRE_LOG'] || undefined,
    holdTimeSeconds: number('CALI_HOLD_TIME', 90, 3, 65535),
    resyncMs: seconds === undefined ? undefined : seconds * 1000,
  };
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
