/**
 * npm run fuzz: mutated and generated messages through decoding, import policy, the RIB, export policy and encoding for
 * every negotiated form, and through live sessions. Every outcome must be one that RFC 7606 names, and what is sent must
 * decode to what was meant (fuzz/world.ts). A few are BFD packets or netlink datagrams. One worker per processor; the
 * same seed and number of jobs, the same messages.
 *
 *   npm run fuzz -- [--messages 20000000] [--live 1000000] [--seed N] [--jobs N]
 */
import os from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { parseArguments } from '../lib/arguments.ts';
import { messageOf } from '../lib/errors.ts';
import { fuzzLive } from './fuzz/live.ts';
import { Messages, type Outcomes } from './fuzz/messages.ts';

interface Job {
  readonly seed: number;
  readonly count: number;
}

/** What a worker says: how far it is, or what went wrong. */
type Report = { readonly outcomes: Outcomes } | { readonly failure: string };

const REPORT_EVERY = 20_000;

if (isMainThread) await main();
else work(workerData as Job, (report) => parentPort!.postMessage(report));

async function main(): Promise<void> {
  const { values } = parseArguments({
    options: {
      messages: { type: 'string', default: '20000000' },
      live: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(os.availableParallelism()) },
    },
  });
  const [messages, seed, jobs] = [Number(values.messages), Number(values.seed), Number(values.jobs)];
  const startedAt = Date.now();
  const all = new Map<number, Outcomes>();
  let saidAt = startedAt;
  const say = () => {
    const sum = (key: keyof Outcomes) => [...all.values()].reduce((total, one) => total + one[key], 0);
    const seconds = (Date.now() - startedAt) / 1000;
    process.stdout.write(
      `fuzz: ${sum('messages')} of ${messages} messages in ${seconds.toFixed(0)} s: ${sum('accepted')} accepted, ${sum('refused')} refused; routes compared: ${sum('advertised')} advertised, ${sum('withheld')} withheld, ${sum('tooLong')} too long; ${Math.round(process.memoryUsage().rss / 1e6)} MB\n`,
    );
  };
  const share = Math.ceil(messages / jobs);
  await Promise.all(
    Array.from({ length: jobs }, (_, index) =>
      runWorker(
        { seed: seed * 1_000 + index, count: Math.min(share, messages - share * index) },
        (outcomes) => {
          all.set(index, outcomes);
          if (Date.now() - saidAt < 10_000) return;
          saidAt = Date.now();
          say();
        },
      ),
    ),
  );
  say();
  await fuzzLive(Number(values.live), seed);
}

function runWorker(job: Job, progress: (outcomes: Outcomes) => void): Promise<void> {
  if (job.count <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: job });
    worker.on('message', (report: Report) => {
      if ('failure' in report) reject(new Error(report.failure));
      else progress(report.outcomes);
    });
    worker.on('error', reject);
    worker.on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`a worker exited with code ${code}`)),
    );
  });
}

function work({ seed, count }: Job, report: (report: Report) => void): void {
  // Stacks of the many refusals cost more than the rest; a fault of ours has its message and seed.
  Error.stackTraceLimit = 0;
  const messages = new Messages(seed);
  try {
    for (let i = 1; i <= count; i++) {
      messages.next();
      if (i % REPORT_EVERY === 0) report({ outcomes: { ...messages.outcomes } });
    }
    messages.close();
    report({ outcomes: { ...messages.outcomes } });
  } catch (error) {
    const at = `seed ${seed}, message ${messages.outcomes.messages}: ${Buffer.from(messages.last).toString('hex').slice(0, 20_000)}`;
    report({ failure: `${messageOf(error)}\n${at}` });
  }
}
