/**
 * Ends the process after an uncaught error. It writes and flushes one line of JSON with the message and the position,
 * reports the crash, and exits with 1. Node itself would print 64 kB of minified bundle.
 */
import { writeSync } from 'node:fs';
import { messageOf } from './errors.ts';
import { escapeForJson, printable } from './plain-text.ts';
import { sourceStack } from './source-stack.ts';

const TELL_MS = 2_000;
/** How long to wait for the reader of a full pipe. */
const WRITE_MS = 2_000;
const MAX_MESSAGE = 1_000;
const FATAL = 60;

export interface CrashOptions {
  /** Fields of each line of the log, such as `name` and `node`. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Reports the crash with its message and position. It may take two seconds. */
  readonly report?: (sentence: string) => Promise<unknown>;
}

let handler: ((error: unknown, origin: string) => void) | undefined;

/** Handles uncaught exceptions and unhandled rejections from now on. A second call replaces the options. */
export function reportCrashes(options: CrashOptions): void {
  if (handler) process.off('uncaughtException', handler);
  let isDying = false;
  handler = (error, origin) => {
    // A second error during the shutdown changes nothing.
    if (isDying) return;
    isDying = true;
    die(error, origin, options);
  };
  process.on('uncaughtException', handler);
}

function die(thrown: unknown, origin: string, { fields, report }: CrashOptions): void {
  const leave = () => process.exit(1);
  // Exit even when the steps below throw or hang.
  setTimeout(leave, TELL_MS);
  const reason = printable(messageOf(thrown), MAX_MESSAGE);
  const stack = thrown instanceof Error ? sourceStack(thrown) : [];
  const line = {
    level: FATAL,
    time: Date.now(),
    ...fields,
    reason,
    origin,
    stack,
    msg: 'exiting after an uncaught error',
  };
  writeLine(`${escapeForJson(JSON.stringify(line))}\n`);
  const place = stack.find((one) => one.startsWith('at ')) ?? '';
  const reported = report?.(`The agent exited because of an uncaught error: ${reason} ${place}`.trim());
  (reported ?? Promise.resolve()).then(leave, leave);
}

/** Writes to standard output, whether it is a file, a pipe or a terminal. */
function writeLine(text: string): void {
  let rest = Buffer.from(text);
  const endAt = Date.now() + WRITE_MS;
  while (rest.length > 0 && Date.now() < endAt) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      const isFull = error instanceof Error && 'code' in error && error.code === 'EAGAIN';
      if (!isFull) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
