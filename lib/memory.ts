/**
 * Keeps the resident set of a mostly quiet process small. V8 keeps the garbage of the start and of every burst until the
 * heap has grown much further, the C library keeps freed memory, and program pages that only the start needed stay
 * mapped. This releases all three, some time after the start and whenever the process is quiet after it grew.
 */
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import v8 from 'node:v8';
import vm from 'node:vm';
import { libc } from './libc.ts';
import type { Clock } from './time.ts';

/** Several collections after the start: V8 drops the bytecode of functions that no one called between collections. */
const FIRST_MS = [20_000, 25_000, 30_000, 35_000, 40_000, 45_000];
const PERIOD_MS = 60_000;
/** An idle process reloads about 17 MB of program pages. It has grown only when it holds more than that. */
const RETURNING_BYTES = 24 << 20;
/** Above this size the process releases memory after less growth. */
const LARGE_BYTES = 72 << 20;
const WORTHWHILE_BYTES = 4 << 20;
/** A process that works for less than this share of the time is quiet. */
const QUIET = 0.05;
const MADV_DONTNEED = 4;

/** Starts to release idle memory of this process. */
export function releaseIdleMemory(clock: Clock): void {
  const shrink = shrinker();
  /** Size after the last release. */
  let smallest = 0;
  let lastUse = performance.eventLoopUtilization();
  const collect = () => {
    shrink();
    smallest = process.memoryUsage.rss();
  };
  const look = () => {
    const use = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(use, lastUse);
    lastUse = use;
    const rss = process.memoryUsage.rss();
    const grown = rss > LARGE_BYTES ? WORTHWHILE_BYTES : RETURNING_BYTES;
    if (utilization < QUIET && rss > smallest + grown) collect();
    clock.after(PERIOD_MS, look);
  };
  for (const delayMs of FIRST_MS) clock.after(delayMs, collect);
  clock.after(PERIOD_MS, look);
}

function shrinker(): () => void {
  v8.setFlagsFromString('--expose-gc');
  const gc = vm.runInNewContext('gc') as (options: object) => void;
  v8.setFlagsFromString('--no-expose-gc');
  // Acts as if memory had run out: V8 compacts the heap and releases its free pages.
  const collect = () => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  const library = libc();
  if (!library) return collect;
  // Only glibc has malloc_trim.
  const trim = attempt(() => library.func('int malloc_trim(size_t)'));
  const madvise = library.func('int madvise(uintptr_t, size_t, int)');
  return () => {
    collect();
    trim?.(0);
    const maps = attempt(() => readFileSync('/proc/self/smaps', 'utf8')) ?? '';
    for (const { start, end } of unmodified(maps)) madvise(start, Number(end - start), MADV_DONTNEED);
  };
}

interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * Mappings of /proc/PID/smaps whose pages the kernel can drop and read again from their file: read-only mappings without
 * a changed page (relocations change pages). Pages in use come back from the page cache.
 */
export function unmodified(smaps: string): Range[] {
  const ranges: Range[] = [];
  for (const [, start, end, body] of smaps.matchAll(mapping))
    if (/^Anonymous:\s+0 kB$/m.test(body!))
      ranges.push({ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) });
  return ranges;
}

/** Matches a private, read-only or executable mapping of a file: header (device, inode, path) and body. */
const mapping = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ [1-9]\d* +\/.*\n((?:[A-Z].*\n?)*)/gm;

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
