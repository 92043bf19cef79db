/** calictl: calicoctl's commands for Cali. */
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import type { Explanation } from '../agent/explain.ts';
import type { AgentStatus } from '../agent/status.ts';
import type { PeerStatus } from '../bgp/peer-config.ts';
import type { RouteView } from '../bgp/routes-view.ts';
import { readDocuments } from '../datastore/documents.ts';
import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { loadEndpoint } from '../datastore/kubernetes/kube-config.ts';
import { messageOf } from '../lib/errors.ts';
import { VERSION } from '../lib/version.ts';
import { askAgent } from './agent-client.ts';
import { type NeighborReport, renderExplanation, renderNeighbor, renderPeers, renderRoutes } from './bgp.ts';
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

const outputJson = () =>
  new Option('-o, --output <format>').choices(['table', 'json']).default('table' as const);
const show = (output: 'table' | 'json', value: unknown, render: () => string) =>
  print(output === 'json' ? JSON.stringify(value, undefined, 2) : render());

const bgp = program.command('bgp').description('the BGP speaker of this node or reflector');
bgp
  .command('peers')
  .description('sessions and what came of their routes')
  .addOption(outputJson())
  .action(async ({ output }: { output: 'table' | 'json' }) => {
    const peers = await askAgent<PeerStatus[]>('/v1/bgp/peers');
    show(output, peers, () => renderPeers(peers, Date.now()));
  });
bgp
  .command('routes [prefix]')
  .description(
    'every path, the best one marked, and why the others lost; with a prefix or address what covers it',
  )
  .addOption(outputJson())
  .action(async (prefix: string | undefined, { output }: { output: 'table' | 'json' }) => {
    const query = prefix === undefined ? '' : `?prefix=${encodeURIComponent(prefix)}`;
    const routes = await askAgent<RouteView[]>(`/v1/bgp/routes${query}`);
    show(output, routes, () => renderRoutes(routes));
  });
bgp
  .command('neighbor <address>')
  .description('one session: what was agreed on, received, accepted, advertised; which filter refused what')
  .addOption(outputJson())
  .action(async (address: string, { output }: { output: 'table' | 'json' }) => {
    const query = `?peer=${encodeURIComponent(address)}`;
    const [peers, received, advertised] = await Promise.all([
      askAgent<PeerStatus[]>('/v1/bgp/peers'),
      askAgent<NeighborReport['received']>(`/v1/bgp/received${query}`),
      askAgent<NeighborReport['advertised']>(`/v1/bgp/advertised${query}`),
    ]);
    const report = { peer: peers.find(({ config }) => config.address === address)!, received, advertised };
    show(output, report, () => renderNeighbor(report, Date.now()));
  });

bgp
  .command('dump <file>')
  .description('write the table as MRT (RFC 6396), for bgpdump and its like')
  .action(async (file: string) => {
    const bytes = Buffer.from(await askAgent<string>('/v1/bgp/mrt'), 'base64');
    await writeFile(file, bytes);
    print(`${bytes.length} octets written to ${file}`);
  });

program
  .command('explain')
  .description('why things are as they are')
  .command('route <address>')
  .description('where packets to an address go, from the pool to the kernel')
  .addOption(outputJson())
  .action(async (address: string, { output }: { output: 'table' | 'json' }) => {
    const explanation = await askAgent<Explanation>(`/v1/explain?address=${encodeURIComponent(address)}`);
    show(output, explanation, () => renderExplanation(explanation));
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
