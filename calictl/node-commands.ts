/** The command line of `calictl node`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { AgentStatus } from '../agent/report/status.ts';
import { askAgent } from './agent-client.ts';
import { checkSystem, isGood, renderChecks } from './check-system.ts';
import { collectDiagnostics } from './diags.ts';
import { exitCode, type Format, renderStatus } from './node-status.ts';
import type { Surroundings } from './surroundings.ts';
import { refuse } from './unsupported.ts';

export function addNodeCommands(program: Command, { print, setExitCode, columns }: Surroundings): void {
  const node = program.command('node').description('inspect this node');
  node
    .command('status')
    .description('show sessions, tunnels and problems; exit 1 if a session is down or the node is not ready')
    .addOption(
      new Option('-o, --output <format>', 'output format')
        .choices(['table', 'json', 'yaml'])
        .default('table'),
    )
    .option('-w, --watch', 'repeat every second until Ctrl-C', false)
    .action(async ({ output, watch }: { output: Format; watch: boolean }) => {
      for (;;) {
        const status = await askAgent<AgentStatus>('/v1/status');
        if (watch && process.stdout.isTTY) process.stdout.write('\x1b[H\x1b[2J');
        print(renderStatus(status, output, new Date(), columns() ?? environmentColumns()));
        setExitCode(exitCode(status));
        if (!watch) return;
        await sleep(1000);
      }
    });
  node
    .command('checksystem')
    .description('test the kernel and the tools of this machine; exit 1 if it cannot be a node')
    .option('-f, --kernel-config <file>', 'no effect: calictl tests the running kernel')
    .action(async () => {
      const checks = await checkSystem();
      print(renderChecks(checks));
      setExitCode(isGood(checks) ? 0 : 1);
    });
  refuse(node, 'run', 'install the DaemonSet in deploy/, or run the program cali-node');
  node
    .command('diags')
    .description('collect routes, interfaces, rules, sessions and the agent’s status into one archive')
    .option('--log-dir <folder>', 'folder for the archive', '/var/log/cali')
    .action(async ({ logDir }: { logDir: string }) => {
      const ask = (route: string) => () => askAgent(route);
      const { archive, missing } = await collectDiagnostics(
        logDir,
        {
          cniDirectory: process.env['CNI_NET_DIR'] || '/etc/cni/net.d',
          runDirectory: process.env['CALI_RUN_DIR'] || '/var/run/cali',
          questions: {
            status: ask('/v1/status'),
            'bgp-peers': ask('/v1/bgp/peers'),
            'bgp-routes': ask('/v1/bgp/routes'),
          },
        },
        new Date(),
      );
      if (missing.length > 0) print(`Not installed, therefore skipped: ${missing.join(', ')}`);
      print(`Diags saved to ${archive}`);
    });
}

/** Returns COLUMNS of the environment; undefined when it is not a number. */
function environmentColumns(): number | undefined {
  return Number(process.env['COLUMNS']) || undefined;
}
