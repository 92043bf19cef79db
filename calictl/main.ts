/** calictl: calicoctl's commands for Cali. */
import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import type { Explanation } from '../agent/explain.ts';
import type { PeerStatus } from '../bgp/peer-config.ts';
import type { RouteView } from '../bgp/routes-view.ts';
import { readDocuments } from '../datastore/documents.ts';
import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { loadEndpoint } from '../datastore/kubernetes/load-endpoint.ts';
import { describeProblem } from '../datastore/object-problem.ts';
import { messageOf } from '../lib/errors.ts';
import { forTerminal } from '../lib/plain-text.ts';
import { VERSION } from '../lib/version.ts';
import { askAgent } from './agent-client.ts';
import { type NeighborReport, renderExplanation, renderNeighbor, renderPeers, renderRoutes } from './bgp.ts';
import { addIpamCommands } from './ipam-commands.ts';
import { addNodeCommands } from './node-commands.ts';
import { get, kindNamed, label, type Output, patch, perform, type Verb } from './resources.ts';

const program = new Command('calictl')
  .description('View and manage Cali: the commands and tables of calicoctl.')
  .version(VERSION)
  .option(
    '--kubeconfig <file>',
    'where the API is; default: $KUBECONFIG, the service account, ~/.kube/config',
  );

const print = (text: string) => {
  process.stdout.write(`${forTerminal(text)}\n`);
};
/** Objects that cannot be read are named on standard error, once. */
const unreadable = new Set<string>();
const complain = (sentence: string) => {
  if (unreadable.has(sentence)) return;
  unreadable.add(sentence);
  process.stderr.write(`${forTerminal(sentence)}\n`);
};
const store = async () =>
  new KubernetesClient(await loadEndpoint(program.opts<{ kubeconfig?: string }>().kubeconfig), {
    unreadable: (problem) => complain(describeProblem(problem)),
  });

addNodeCommands(program, print);

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

addIpamCommands(program, store, print);

program
  .command('patch <kind> <name>')
  .description('change fields of one resource')
  .requiredOption('-p, --patch <patch>', 'what changes, as JSON or YAML; null takes a field away')
  .addOption(new Option('-t, --type <type>', 'how it is read').choices(['merge']).default('merge'))
  .option('-n, --namespace <namespace>', 'of namespaced kinds')
  .action(async (kind: string, name: string, flags: { patch: string; namespace?: string }) => {
    print(await patch(await store(), kind, name, flags.patch, flags.namespace));
  });

program
  .command('label <kind> <name> <label>')
  .description('set a label (key=value), or take it away (key --remove)')
  .option('--overwrite', 'also when it has another value', false)
  .option('--remove', 'take it away', false)
  .option('-n, --namespace <namespace>', 'of namespaced kinds')
  .action(
    async (
      kind: string,
      name: string,
      text: string,
      flags: { overwrite: boolean; remove: boolean; namespace?: string },
    ) => {
      print(await label(await store(), kind, name, text, flags));
    },
  );

program
  .command('validate')
  .description('check a file without touching the datastore')
  .requiredOption('-f, --filename <file>', 'YAML or JSON; - for standard input')
  .action(async ({ filename }: { filename: string }) => {
    const documents = await readDocuments(filename);
    print(`${documents.length} resource(s) are valid`);
  });

program
  .command('get <kind> [names...]')
  .description('show resources')
  .addOption(new Option('-o, --output <format>').choices(['ps', 'wide', 'yaml', 'json']).default('ps'))
  .option('-n, --namespace <namespace>', 'of namespaced kinds')
  .option('-A, --all-namespaces', 'of namespaced kinds: all (the default without a name)')
  .action(
    async (kind: string, names: string[], { output, namespace }: { output: Output; namespace?: string }) => {
      const found = await get(await store(), kind, names, { output, namespace });
      if (found.text !== '') print(found.text);
      for (const failure of found.failures) complain(failure);
      // As kubectl: what was found is shown, and the code says that it is not all.
      if (found.failures.length > 0) process.exitCode = 1;
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
      await perform(await store(), verb satisfies Verb, await readDocuments(filename), {
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
      print(await perform(await store(), 'delete', documents, { skipNotExists: flags.skipNotExists }));
    },
  );

program.command('version').action(() => print(`Client Version:    ${VERSION}`));

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${forTerminal(messageOf(error))}\n`);
  process.exitCode = 1;
}
