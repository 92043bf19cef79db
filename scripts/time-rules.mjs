// Refuses time and chance that are taken directly: timers, the time of day, Math.random. The code takes lib/time.ts as a
// parameter, so that a simulation can run it. Only the programs' main files choose the real time. kernel/ is not checked:
// it is the real kernel, whose processes and sockets have time limits.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { transformSync } from 'esbuild';
import { sourceFiles } from './sources.mjs';

const root = path.resolve(import.meta.dirname, '..');
const checked = /^(agent|bgp|cni|controllers|datastore|felix|ipam|ipip|lib|model)\/.*(?<!\.d)\.ts$/;
const refused =
  /\b(?:setTimeout|setInterval|setImmediate|systemTime|Math\.random|Date\.now|performance\.now|AbortSignal\.timeout)\b|\bnew Date\(\)|\bnew Date\b(?!\()|"node:timers/g;

/** Files and folders that may, with the reason. */
const exceptions = new Map([
  ['agent/main.ts', 'a program: chooses the real ports'],
  ['controllers/main.ts', 'a program: chooses the real ports'],
  ['lib/time.ts', 'the real time'],
  ['bgp/transport/tcp-connection.ts', 'the real transport'],
  ['bgp/transport/tcp-incoming.ts', 'the real transport'],
  ['bgp/transport/tcp-listener.ts', 'the real transport'],
  ['datastore/kubernetes/kube-config.ts', 'the real API: age of credentials'],
  ['datastore/kubernetes/multiplexer.ts', 'the real API: liveness of the connection'],
  ['datastore/kubernetes/service-account.ts', 'the real API: age of the token'],
  ['datastore/kubernetes/transport.ts', 'the real API: limits of requests'],
  ['datastore/embedded/server.ts', "the lab's API server"],
  ['datastore/embedded/watch.ts', "the lab's API server"],
  ['lib/crash.ts', 'ends the process'],
  ['lib/exec.ts', 'limits of child processes'],
  ['lib/listening.ts', "reads the process's sockets"],
  ['lib/process-metrics.ts', 'age of the process'],
  ['lib/stop.ts', 'ends the process'],
  ['lib/unix-socket.ts', 'takes a socket over from another process'],
]);

const unused = new Set(exceptions.keys());
for (const file of sourceFiles().filter((name) => checked.test(name))) {
  const source = readFileSync(path.join(root, file), 'utf8');
  refused.lastIndex = 0;
  if (!refused.test(source)) continue;
  // Without types and comments.
  const { code } = transformSync(source, { loader: 'ts', format: 'esm', legalComments: 'none' });
  const found = [...new Set(code.match(refused) ?? [])];
  if (found.length === 0) continue;
  if (exceptions.has(file)) unused.delete(file);
  else report(`${file}: ${found.join(', ')}: take a Time (lib/time.ts) as a parameter`);
}
for (const file of unused) report(`scripts/time-rules.mjs: ${file} needs no exception`);

function report(line) {
  process.stdout.write(`${line}\n`);
  process.exitCode = 1;
}
