/** calictl: calicoctl's commands for Cali. */
import { run } from './program.ts';

// The reader of a pipe may stop early, as `head` does. That is not an error.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    process.stderr.write(`calictl cannot write its output: ${error.message}\n`, () => process.exit(1));
  });

process.exitCode = await run(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  // A terminal of unknown size reports 0.
  columns: () => process.stdout.columns || undefined,
});
