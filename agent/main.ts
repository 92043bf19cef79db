/** cali-node. */
import path from 'node:path';
import { parseArguments } from '../lib/arguments.ts';
import { reportCrashes } from '../lib/crash.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import { createLog } from '../lib/log.ts';
import { releaseIdleMemory } from '../lib/memory.ts';
import { stopOnSignal } from '../lib/stop.ts';
import { systemTime as time } from '../lib/time.ts';
import { VERSION } from '../lib/version.ts';
import type { Agent } from './agent.ts';
import { hashedRouterId } from './identity/router-id.ts';
import { type AgentConfig, readConfig } from './inputs/environment.ts';
import type { ReflectorSource } from './reflector/reflector.ts';

const usage = `cali-node ${VERSION}: the Cali agent of one node.

  cali-node              run; settings come from the environment (docs/configuration.md)
  cali-node --role reflector --config PATH
                         run as a route reflector: BGPConfiguration, BGPPeer and BGPFilter come from PATH, a file
                         or a folder; without --config, they come from the cluster (deploy/README.md)
  cali-node --install-cni
                         install the CNI plugin and its configuration on the node (run by an init container)
  cali-node --cleanup    remove every interface, route and file of Cali from this node
  cali-node --version
`;

const { values } = parseArguments({
  options: {
    role: { type: 'string', default: 'node' },
    config: { type: 'string' },
    cleanup: { type: 'boolean' },
    'install-cni': { type: 'boolean' },
    version: { type: 'boolean', short: 'v' },
    help: { type: 'boolean', short: 'h' },
  },
});

reportCrashes({ fields: { name: 'cali-node' } });
const log = createLog(process.env['BGP_LOGSEVERITYSCREEN'] ?? 'info', { name: 'cali-node' });

if (values.help) process.stdout.write(usage);
else if (values.version) process.stdout.write(`${VERSION}\n`);
else await main();

async function main(): Promise<void> {
  try {
    if (values['install-cni']) {
      await install();
      return;
    }
    const config = readConfig(process.env);
    // Each role loads only its modules: a reflector does not load those for Kubernetes.
    if (values.cleanup) await cleanUp(config);
    else if (values.role === 'reflector') await runReflector(config);
    else if (values.role === 'node') await runNode(config);
    else throw new CodedError('CONFIG', `--role ${values.role}: must be node or reflector`);
  } catch (error) {
    fail(error);
  }
}

function fail(error: unknown): never {
  log.error({ reason: messageOf(error) }, 'cali-node cannot start');
  process.exit(1);
}

async function install(): Promise<void> {
  const { installCni } = await import('../cni/install.ts');
  const { readInstallSettings } = await import('./inputs/install-settings.ts');
  const lines = await installCni(readInstallSettings(process.env));
  for (const line of lines) log.info({}, line);
}

async function cleanUp(config: AgentConfig): Promise<void> {
  const { cleanUp: clean } = await import('./cleanup.ts');
  const { linuxKernel } = await import('../kernel/linux.ts');
  const kernel = linuxKernel(log);
  const lines = await clean(config, kernel, log).finally(() => kernel.close());
  for (const line of lines) process.stdout.write(`${line}\n`);
}

async function runNode(config: AgentConfig): Promise<void> {
  const { Agent: NodeAgent } = await import('./agent.ts');
  const { connectApi } = await import('./api.ts');
  const { tcpTransport } = await import('../bgp/transport/tcp.ts');
  const { linuxKernel } = await import('../kernel/linux.ts');
  const { endpointFolder } = await import('../cni/endpoint-folder.ts');
  const { serveCni } = await import('../cni/server.ts');
  const { serveRoutes } = await import('../lib/http.ts');
  const { environmentNotices } = await import('./inputs/environment-notices.ts');
  const nodeLog = log.child({ node: config.node });
  for (const reason of environmentNotices(process.env))
    nodeLog.warn({ reason }, 'environment variable has no effect');
  const begin = async () => {
    const agent = await NodeAgent.create(config, {
      // New connections: those of an earlier agent may have a local address that no longer exists.
      api: await connectApi(config.kubeconfig),
      kernel: linuxKernel(nodeLog),
      time,
      transport: tcpTransport,
      files: endpointFolder(path.join(config.runDirectory, 'endpoints')),
      serve: { cni: serveCni, http: serveRoutes },
      log: nodeLog,
      setSeverity: (severity) => log.setSeverity(severity),
      restart: () => void restart(),
    });
    current = agent;
    await agent.start();
  };
  const restart = async () => {
    await current
      ?.stop()
      .catch((error: unknown) => nodeLog.error({ err: error }, 'previous agent failed to stop'));
    await begin().catch(fail);
  };
  let current: Agent | undefined;
  stopOnSignal(async () => current?.stop(), nodeLog);
  reportCrashes({
    fields: { name: 'cali-node', node: config.node },
    report: async (sentence) => current?.report(sentence),
  });
  await begin();
  releaseIdleMemory(time);
  nodeLog.info({ version: VERSION }, 'agent started');
}

async function runReflector(config: AgentConfig): Promise<void> {
  const { Reflector } = await import('./reflector/reflector.ts');
  const { tcpTransport } = await import('../bgp/transport/tcp.ts');
  const reflector = new Reflector(config, await reflectorSource(config), {
    time,
    transport: tcpTransport,
    log,
  });
  stopOnSignal(() => reflector.stop(), log);
  await reflector.start();
  log.info({ version: VERSION }, 'route reflector started');
}

async function reflectorSource(config: AgentConfig): Promise<ReflectorSource> {
  if (values.config) {
    const { FileSource } = await import('./reflector/file-source.ts');
    return new FileSource(values.config, config, { clock: time, log });
  }
  const service = config.reflectorService;
  if (!service)
    throw new CodedError(
      'CONFIG',
      '--role reflector needs --config PATH with BGPConfiguration and BGPPeer documents, or, in a cluster, ' +
        'CALI_REFLECTOR_SERVICE=NAME of its Service',
    );
  const { ClusterSource } = await import('./reflector/cluster-source.ts');
  const { connectApi } = await import('./api.ts');
  const { namespace, node, kubeconfig, routerId } = config;
  const hashed = hashedRouterId(`${namespace}/${service} on ${node}`);
  return new ClusterSource(
    {
      namespace,
      service,
      node,
      port: config.reflectorPort,
      // Not the node's identifier, which its agent uses.
      identifier: routerId && routerId !== 'hash' ? routerId : hashed,
      defaults: config,
    },
    { ...(await connectApi(kubeconfig)), time, log },
  );
}
