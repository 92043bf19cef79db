/** calictl: calicoctl's commands for Cali. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import type { AgentStatus } from '../agent/status.ts';
import { readDocuments } from '../datastore/documents.ts';
import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { loadEndpoint } from '../datastore/kubernetes/kube-config.ts';
import { messageOf } from '../lib/errors.ts';
import { VERSION } from '../lib/version.ts';
import { askAgent } from './agent-client.ts';
import { exitCode, type Format, renderStatus } from './node-status.ts';
import { get, kindNamed, type Output, perform, type Verb } from './resources.ts';

const program = new Command('calictl')
  .description('View and manage Cali: the commands and tables of calicoctl.')
  .version(VERSION)
  .option(
    '--kubeconfig <file>',
    'where the API is; default: $KUBECONFIG, the service account, ~/.kube/config',
  );

const print = (text: string) => {
  process.stdout.write(`${text}\n`);
};
const store = () => new KubernetesClient(loadEndpoint(program.opts<{ kubeconfig?: string }>().kubeconfig));

const node = program.command('node').description('this node');
node
  .command('status')
  .description('BGP sessions of this node; exit 1 when one is down')
  .addOption(new Option('-o, --output <format>').choices(['table', 'json', 'yaml']).default('table'))
  .option('-w, --watch', 'again every second until Ctrl-C', false)
  .action(async ({ output, watch }: { output: Format; watch: boolean }) => {
    for (;;) {
      const status = await askAgent<AgentStatus>('/v1/status');
      if (watch && process.stdout.isTTY) process.stdout.write('\x1b[H\x1b[2J');
      print(renderStatus(status, output, new Date()));
      process.exitCode = exitCode(status);
      if (!watch) return;
      await sleep(1000);
    }
  });

program
  .command('get <kind> [names...]')
  .description('show resources')
  .addOption(new Option('-o, --output <format>').choices(['ps', 'wide', 'yaml', 'json']).default('ps'))
  .option('-n, --namespace <namespace>', 'of namespaced kinds')
  .option('-A, --all-namespaces', 'of namespaced kinds: all (the default without a name)')
  .action(
    async (kind: string, names: string[], { output, namespace }: { output: Output; namespace?: string }) => {
      print(await get(store(), kind, names, { output, namespace }));
    },
  );

for (const verb of ['apply', 'create', 'replace'] as const) {
  const command = program
    .command(verb)
    .description(`${verb} resources from a file`)
    .requiredOption('-f, --filename <file>', 'YAML or JSON; - for standard input');
  if (verb === 'create') command.option('--skip-exists', 'an existing resource is no error', false);
  command.action(async ({ filename, skipExists }: { filename: string; skipExists?: boolean }) => {
    print(
      await perform(store(), verb satisfies Verb, await readDocuments(filename), {
        skipExists: skipExists ?? false,
      }),
    );
  });
}

program
  .command('delete [kind] [names...]')
  .description('delete resources by name or from a file')
  .option('-f, --filename <file>', 'YAML or JSON; - for standard input')
  .option('-n, --namespace <namespace>', 'of namespaced kinds')
  .option('-s, --skip-not-exists', 'a missing resource is no error', false)
  .action(
    async (
      kind: string | undefined,
      names: string[],
      flags: { filename?: string; namespace?: string; skipNotExists: boolean },
    ) => {
      if (!flags.filename && (!kind || names.length === 0))
        throw new Error('delete: name a kind and its resources, or a file with -f');
      const documents = flags.filename
        ? await readDocuments(flags.filename)
        : names.map((name) => {
            const definition = kindNamed(kind!);
            const metadata = { name, ...(flags.namespace ? { namespace: flags.namespace } : {}) };
            return { definition, object: { apiVersion: '', kind: definition.kind, metadata } };
          });
      print(await perform(store(), 'delete', documents, { skipNotExists: flags.skipNotExists }));
    },
  );

program.command('version').action(() => print(`Client Version:    ${VERSION}`));

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
