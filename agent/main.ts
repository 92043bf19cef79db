/** cali-node. */
import { parseArgs } from 'node:util';
import { CodedError, messageOf } from '../lib/errors.ts';
import { createLog, type RootLog } from '../lib/log.ts';
import { VERSION } from '../lib/version.ts';
import { type AgentConfig, readConfig } from './config.ts';

const usage = `cali-node ${VERSION}: the Cali agent of one node.

  cali-node              run; settings come from the environment (docs/configuration.md)
  cali-node --role reflector --config FILE
                         run as a route reflector: BGPConfiguration, BGPPeer and BGPFilter from a file
  cali-node --cleanup    remove every interface, route and file of Cali from this node
  cali-node --version
`;

const { values } = parseArgs({
  options: {
    role: { type: 'string', default: 'node' },
    config: { type: 'string' },
    cleanup: { type: 'boolean' },
    version: { type: 'boolean', short: 'v' },
    help: { type: 'boolean', short: 'h' },
  },
});

if (values.help) process.stdout.write(usage);
else if (values.version) process.stdout.write(`${VERSION}\n`);
else await main();

async function main(): Promise<void> {
  const log = createLog(process.env['BGP_LOGSEVERITYSCREEN'] ?? 'info', { name: 'cali-node' });
  try {
    const config = readConfig(process.env);
    // Each role loads what it needs: a reflector has nothing of Kubernetes in it.
    if (values.cleanup) await cleanUp(config);
    else if (values.role === 'reflector') await runReflector(config, log);
    else if (values.role === 'node') await runNode(config, log);
    else throw new CodedError('CONFIG', `--role ${values.role}: must be node or reflector`);
  } catch (error) {
    log.error({ reason: messageOf(error) }, 'cali-node cannot start');
    process.exit(1);
  }
}

async function cleanUp(config: AgentConfig): Promise<void> {
  const { cleanUp: clean } = await import('./cleanup.ts');
  for (const line of await clean(config.runDirectory)) process.stdout.write(`${line}\n`);
}

async function runNode(config: AgentConfig, log: RootLog): Promise<void> {
  const { Agent } = await import('./agent.ts');
  const { loadEndpoint } = await import('../datastore/kubernetes/kube-config.ts');
  const nodeLog = log.child({ node: config.node });
  const agent = new Agent(config, {
    api: loadEndpoint(config.kubeconfig),
    log: nodeLog,
    setSeverity: (severity) => log.setSeverity(severity),
  });
  stopWith(() => agent.stop());
  await agent.start();
  nodeLog.info({ version: VERSION }, 'running');
}

async function runReflector(config: AgentConfig, log: RootLog): Promise<void> {
  if (!values.config)
    throw new CodedError(
      'CONFIG',
      '--role reflector needs --config FILE with BGPConfiguration and BGPPeer documents',
    );
  const { Reflector } = await import('./reflector.ts');
  const reflector = new Reflector({ ...config, file: values.config }, log);
  stopWith(() => reflector.stop());
  await reflector.start();
  log.info({ version: VERSION }, 'running');
}

function stopWith(stop: () => Promise<void>): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void stop().then(() => process.exit(0)));
}
