/** calictl's program: its commands and the handling of errors. */
import { Command, CommanderError, Option } from 'commander';
import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { describeProblem } from '../datastore/object-problem.ts';
import { messageOf } from '../lib/errors.ts';
import { forTerminal } from '../lib/plain-text.ts';
import { VERSION } from '../lib/version.ts';
import { addBgpCommands } from './bgp-commands.ts';
import { addClusterCommands } from './cluster-commands.ts';
import { type ConnectionFlags, connect } from './connection.ts';
import { addIpamCommands } from './ipam-commands.ts';
import { addNodeCommands } from './node-commands.ts';
import { addResourceCommands } from './resource-commands.ts';
import type { Surroundings } from './surroundings.ts';

/** Outputs of text. */
export interface Streams {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Width of the terminal; undefined when the output goes to a file or a pipe. */
  readonly columns?: () => number | undefined;
}

/** Runs a command line (without the names of node and the script). Resolves to the exit code; never rejects. */
export async function run(args: readonly string[], streams: Streams): Promise<number> {
  const out = (text: string) => streams.out(forTerminal(text));
  const err = (text: string) => streams.err(forTerminal(text));
  // Before the commands are added, because they inherit it.
  const program = new Command('calictl').exitOverride().configureOutput({ writeOut: out, writeErr: err });
  addGlobalFlags(program);

  let exitCode = 0;
  const complaints = new Set<string>();
  const complain = (sentence: string) => {
    if (!complaints.has(sentence)) err(`${sentence}\n`);
    complaints.add(sentence);
  };
  const surroundings: Surroundings = {
    open: async () =>
      new KubernetesClient(await connect(program.opts<ConnectionFlags>()), {
        unreadable: (problem) => complain(describeProblem(problem)),
      }),
    print: (text) => out(`${text}\n`),
    complain,
    columns: () => streams.columns?.(),
    setExitCode: (code) => {
      exitCode = code;
    },
  };
  addNodeCommands(program, surroundings);
  addBgpCommands(program, surroundings);
  addIpamCommands(program, surroundings);
  addResourceCommands(program, surroundings);
  addClusterCommands(program, surroundings);

  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    // Commander has already printed its message.
    if (error instanceof CommanderError) return error.exitCode;
    err(`${messageOf(error)}\n`);
    return 1;
  }
  return exitCode;
}

function addGlobalFlags(program: Command): void {
  program
    .description('View and manage Cali, with the commands and tables of calicoctl.')
    .version(VERSION)
    .option(
      '--kubeconfig <file>',
      'kubeconfig file; default: $KUBECONFIG, the service account, ~/.kube/config',
    )
    .addOption(new Option('--context <name>', 'context of the kubeconfig').env('K8S_CURRENT_CONTEXT'))
    .option('-c, --config <file>', 'calicoctl configuration (CalicoAPIConfig) that names the kubeconfig')
    .option('--allow-version-mismatch', 'no effect, as in calicoctl: calictl works with any version', false)
    .addOption(
      new Option('-l, --log-level <level>', 'no effect: calictl writes no log')
        .choices(['panic', 'fatal', 'error', 'warn', 'info', 'debug'])
        .default('panic'),
    );
}
