/**
 * The end of a process for an error that nothing caught: one line of JSON that says what and where, flushed, then an
 * attempt to tell others, then exit code 1. Node itself would print the line of the bundle that threw, 64 kB of it.
 */
import { writeSync } from 'node:fs';
import { messageOf } from './errors.ts';
import { escapeForJson, printable } from './plain-text.ts';
import { sourceStack } from './source-stack.ts';

const TELL_MS = 2_000;
/** A reader of a full pipe has so long to read on. */
const WRITE_MS = 2_000;
const MAX_MESSAGE = 1_000;
const FATAL = 60;

export interface CrashOptions {
  /** Fields of each line of the log, such as `name` and `node`. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Tells others, with the message and the place; is given two seconds. */
  readonly tell?: (sentence: string) => Promise<unknown>;
}

let handler: ((error: unknown, origin: string) => void) | undefined;

/** Takes uncaught exceptions and unhandled rejections from now on. A second call replaces the options. */
export function reportCrashes(options: CrashOptions): void {
  if (handler) process.off('uncaughtException', handler);
  let isDying = false;
  handler = (error, origin) => {
    // What fails on the way out changes nothing more.
    if (isDying) return;
    isDying = true;
    die(error, origin, options);
  };
  process.on('uncaughtException', handler);
}

function die(thrown: unknown, origin: string, { fields, tell }: CrashOptions): void {
  const leave = () => process.exit(1);
  // Also when what follows throws or hangs.
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
    msg: 'ends: an error that nothing caught',
  };
  writeLine(`${escapeForJson(JSON.stringify(line))}\n`);
  const place = stack.find((one) => one.startsWith('at ')) ?? '';
  const told = tell?.(`The agent ended by an error that nothing caught: ${reason} ${place}`.trim());
  (told ?? Promise.resolve()).then(leave, leave);
}

/** To standard output, whatever is at its other end. */
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
