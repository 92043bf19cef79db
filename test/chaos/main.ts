/**
 * npm run chaos -- [--seed N] [--minutes M] [--steps N]: randomly changes pods, agents, the API server, nodes, pools
 * and addresses in a lab (chaos/run.ts). The same seed makes the same actions. Exits with 1 on a fault.
 */
import { parseArguments } from '../../lib/arguments.ts';
import { messageOf } from '../../lib/errors.ts';
import { runChaos } from './run.ts';

const { values } = parseArguments({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '15' },
    steps: { type: 'string', default: '1000000' },
  },
});
const [seed, minutes, steps] = [Number(values.seed), Number(values.minutes), Number(values.steps)];
if (![seed, minutes, steps].every((value) => Number.isFinite(value) && value >= 0)) {
  process.stderr.write('chaos: --seed, --minutes and --steps must be non-negative numbers\n');
  process.exit(2);
}
try {
  const say = (text: string) => process.stdout.write(`chaos: ${text}\n`);
  say(`seed ${seed}, ${minutes} minutes`);
  const result = await runChaos({ seed, steps, untilMs: minutes * 60_000, roundSteps: 25, say });
  for (const line of result.logLines) say(`unexplained log line: ${line}`);
  say(`${result.steps} actions in ${result.rounds} rounds`);
  process.exitCode = result.logLines.length === 0 ? 0 : 1;
} catch (error) {
  process.stderr.write(`chaos: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
