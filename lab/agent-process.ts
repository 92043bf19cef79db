/** The process of a node's agent, in the network namespace of its node. */
import path from 'node:path';
import { LAB_DIRECTORY } from './control-plane.ts';
import { netnsPath } from './namespaces.ts';
import { LabProcess } from './process.ts';

export interface AgentOptions {
  /** Folder with the bundled programs. */
  readonly programs: string;
  readonly runDirectory: string;
  /** Empty: FelixConfiguration decides. */
  readonly logSeverity: string;
  /** Whether the node has an IPv6 address. */
  readonly hasIpv6: boolean;
}

/** Returns the agent of the node `name`, not started. */
export function agentProcess(
  name: string,
  { programs, runDirectory, logSeverity, hasIpv6 }: AgentOptions,
): LabProcess {
  return new LabProcess(
    ['nsenter', `--net=${netnsPath(name)}`, process.execPath, path.join(programs, 'cali-node.js')],
    {
      NODENAME: name,
      KUBECONFIG: path.join(LAB_DIRECTORY, 'kubeconfig'),
      CALI_RUN_DIR: runDirectory,
      IP: 'autodetect',
      IP6: hasIpv6 ? 'autodetect' : 'none',
      ...(logSeverity ? { BGP_LOGSEVERITYSCREEN: logSeverity } : {}),
    },
    path.join(LAB_DIRECTORY, 'log', `${name}.log`),
  );
}
