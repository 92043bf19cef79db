/** cali-lab: `npm start` and `npm run lab -- …`. */
import { spawnSync } from 'node:child_process';
import { Command, InvalidArgumentError, Option } from 'commander';
import { CodedError, messageOf } from '../lib/errors.ts';
import { printable } from '../lib/plain-text.ts';
import { plainTable } from '../lib/table.ts';
import { VERSION } from '../lib/version.ts';
import type { LabCommand } from './control.ts';
import { debugAgent } from './debug.ts';
import { askLab, execCommand, runLab } from './outside.ts';
import type { FlowReport, Probe } from './prober.ts';
import { failures, flowTable } from './report.ts';
import { terminalOf } from './screen.ts';
import { asciiOnly } from './text.ts';
import { readTopology, type TopologyOptions, topologyOf } from './topology.ts';
import { runInUml } from './uml.ts';

const terminal = terminalOf(process.stdout, process.env);

const program = new Command('cali-lab')
  .description('Runs a whole cluster network on this machine.')
  .version(VERSION)
  .enablePositionalOptions()
  .showHelpAfterError('(--help lists commands and options)');

const count = (low: number, high: number) => (text: string) => {
  const value = Number(text);
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new InvalidArgumentError(`must be a whole number from ${low} to ${high}`);
};

interface StartFlags extends Omit<TopologyOptions, 'mode'> {
  readonly mode: 'crosssubnet' | 'always';
  readonly kernel: 'host' | 'uml';
  readonly topology?: string;
  readonly once: boolean;
  readonly json: boolean;
  readonly logLevel?: string;
}

program
  .command('start', { isDefault: true })
  .description('start a lab and keep it in the foreground')
  .option('--nodes <n>', 'number of nodes', count(1, 64), 4)
  .option('--pods <n>', 'pods per node', count(0, 110), 3)
  .option('--subnets <n>', 'number of subnets, with a router between them', count(1, 8), 2)
  .addOption(
    new Option(
      '--encap <kind>',
      'encapsulation between subnets; auto: ipip if the kernel supports it, otherwise vxlan',
    )
      .choices(['auto', 'none', 'ipip', 'vxlan'])
      .default('auto'),
  )
  .addOption(
    new Option('--mode <mode>', 'encapsulate between subnets only, or always')
      .choices(['crosssubnet', 'always'])
      .default('crosssubnet'),
  )
  .addOption(
    new Option('--kernel <kernel>', 'uml: run the lab in user-mode Linux, which supports ipip')
      .choices(['host', 'uml'])
      .default('host'),
  )
  .option('--no-ipv6', 'IPv4 only')
  .option('--topology <file>', 'YAML file that describes the whole lab (docs/lab.md)')
  .option('--once', 'start, check every pair, print the result and clean up; exit with 0 or 1', false)
  .option('--json', 'one JSON report instead of text', false)
  .option('--log-level <level>', 'log level of the agents, overrides FelixConfiguration')
  .action(async (flags: StartFlags) => {
    if (flags.kernel === 'uml') {
      process.exitCode = await runInUml(process.argv.slice(2));
      return;
    }
    const topology = flags.topology
      ? await readTopology(flags.topology)
      : topologyOf({ ...flags, mode: flags.mode === 'always' ? 'Always' : 'CrossSubnet' });
    process.exitCode = await runLab({
      topology,
      isOnce: flags.once,
      isJson: flags.json,
      logSeverity: flags.logLevel ?? '',
    });
  });

program
  .command('exec <place> <command...>')
  .description('run a command in a node, a pod, or "lab" (where the bridge and the API server are)')
  .passThroughOptions()
  .action((place: string, command: string[]) => {
    const [file, ...args] = execCommand(place, command);
    process.exitCode = spawnSync(file!, args, { stdio: 'inherit' }).status ?? 1;
  });

const print = (value: unknown) => {
  const text = typeof value === 'string' ? value : JSON.stringify(value, undefined, 2);
  process.stdout.write(`${terminal.isUnicode ? text : asciiOnly(text)}\n`);
};
const ask = async (command: LabCommand, done: string) => {
  await askLab(command);
  print(done);
};

const pod = program.command('pod').description('add and delete pods');
pod
  .command('add <node> <name>')
  .option('--annotation <key=value...>', 'annotations, such as cni.projectcalico.org/ipAddrs=["10.244.0.9"]')
  .action(async (node: string, name: string, flags: { annotation?: string[] }) => {
    const annotations = Object.fromEntries(
      (flags.annotation ?? []).map((pair) => {
        const [key = '', ...value] = pair.split('=');
        if (key === '' || value.length === 0)
          throw new CodedError('USAGE', `--annotation ${printable(pair)}: must be KEY=VALUE`);
        return [key, value.join('=')];
      }),
    );
    const { addresses } = (await askLab({ do: 'pod add', node, name, annotations })) as {
      addresses: string[];
    };
    print(`pod ${name} is running on ${node}: ${addresses.join(', ')}`);
  });
pod
  .command('delete <name>')
  .action((name: string) => ask({ do: 'pod delete', name }, `pod ${name} is deleted`));

const node = program.command('node').description('add and delete nodes; stop, kill and start their agents');
for (const [verb, done] of [
  ['add', 'is running'],
  ['delete', 'is deleted'],
  ['start', 'runs its agent again'],
  ['stop', 'runs no agent (stopped with SIGTERM)'],
  ['kill', 'runs no agent (stopped with SIGKILL)'],
] as const) {
  const one = node.command(`${verb} <name>`);
  if (verb === 'add') one.option('--subnet <n>', 'number of its subnet, counted from 0', count(0, 7), 0);
  one.action((name: string, { subnet }: { subnet?: number }) =>
    ask({ do: `node ${verb}`, name, ...(subnet === undefined ? {} : { subnet }) }, `node ${name} ${done}`),
  );
}

program
  .command('restart')
  .description('restart all agents and the controllers from the current bundles')
  .action(() => ask({ do: 'restart' }, 'all agents run the current bundles'));

program
  .command('debug <node>')
  .description("open the inspector of a node's agent until Ctrl-C")
  .option('--port <port>', 'port on 127.0.0.1', count(1, 65_535), 9229)
  .action((name: string, { port }: { port: number }) => debugAgent(name, port, print));

const api = program.command('api').description('stop, kill and start the API server');
for (const verb of ['stop', 'kill', 'start'] as const)
  api.command(verb).action(() => ask({ do: `api ${verb}` }, `api server: ${verb} done`));

program
  .command('show')
  .description('nodes and pods of the running lab')
  .option('--json', 'as JSON', false)
  .action(async (flags: { json: boolean }) => {
    const state = (await askLab({ do: 'show' })) as {
      nodes: { name: string; ipv4: string; running: boolean }[];
      pods: { name: string; node: string; addresses: string[] }[];
    };
    if (flags.json) return print(state);
    print(
      plainTable(
        ['NODE', 'ADDRESS', 'AGENT'],
        state.nodes.map(({ name, ipv4, running }) => [name, ipv4, running ? 'running' : 'down']),
      ),
    );
    print('');
    print(
      plainTable(
        ['POD', 'NODE', 'ADDRESSES'],
        state.pods.map(({ name, node: on, addresses }) => [name, on, addresses.join(' ')]),
      ),
    );
  });

program
  .command('matrix')
  .description('check whether every pod reaches every pod and node')
  .option('--json', 'as JSON', false)
  .option('--timeout <ms>', 'time limit per pair', count(1, 60_000), 5000)
  .action(async (flags: { json: boolean; timeout: number }) => {
    const result = (await askLab({ do: 'matrix', timeoutMs: flags.timeout })) as {
      summary: string;
      unreachable: Probe[];
    };
    const { summary, ...rest } = result;
    print(flags.json ? rest : `${summary}\n${failures(result.unreachable)}`.trimEnd());
    process.exitCode = result.unreachable.length === 0 ? 0 : 1;
  });

const flows = program
  .command('flows')
  .description('probe a path between every two nodes repeatedly and count lost probes');
flows
  .command('start')
  .option('--interval <ms>', 'interval between the probes of a flow', count(1, 10_000), 10)
  .action((flags: { interval: number }) =>
    ask(
      { do: 'flows start', intervalMs: flags.interval },
      'flows are running: npm run lab -- flows stop prints the counts',
    ),
  );
flows
  .command('stop')
  .option('--json', 'as JSON', false)
  .action(async (flags: { json: boolean }) => {
    const reports = (await askLab({ do: 'flows stop' })) as FlowReport[];
    print(flags.json ? reports : flowTable(reports, terminal.columns));
  });

// Without this check, an unknown command would be reported as an excess argument of the default command.
const [given] = process.argv.slice(2);
const known = [...program.commands.map((command) => command.name()), 'help'];
try {
  if (given !== undefined && !given.startsWith('-') && !known.includes(given))
    throw new CodedError('USAGE', `unknown lab command ${printable(given)}: ${known.join(', ')}`);
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
