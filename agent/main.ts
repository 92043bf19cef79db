/** cali-node. */
import { parseArgs } from 'node:util';
import { loadEndpoint } from '../datastore/kubernetes/kube-config.ts';
import { messageOf } from '../lib/errors.ts';
import { createLog } from '../lib/log.ts';
import { VERSION } from '../lib/version.ts';
import { Agent } from './agent.ts';
import { cleanUp } from './cleanup.ts';
import { readConfig } from './config.ts';

const usage = `cali-node ${VERSION}: the Cali agent of one node.

  cali-node              run; settings come from the environment (docs/configuration.md)
  cali-node --cleanup    remove every interface, route and file of Cali from this node
  cali-node --version
`;

const { values } = parseArgs({
  options: {
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
    if (values.cleanup) {
      for (const line of await cleanUp(config.runDirectory)) process.stdout.write(`${line}\n`);
      return;
    }
    const nodeLog = log.child({ node: config.node });
    const agent = new Agent(config, {
      api: loadEndpoint(config.kubeconfig),
      log: nodeLog,
      setSeverity: (severity) => log.setSeverity(severity),
    });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => void agent.stop().then(() => process.exit(0)));
    }
    await agent.start();
    nodeLog.info({ version: VERSION }, 'running');
  } catch (error) {
    log.error({ reason: messageOf(error) }, 'cali-node cannot start');
    process.exit(1);
  }
}
