/**
 * A small resident set for a process that is quiet most of the time. V8 keeps the garbage of the start, and of every
 * burst, until the heap has grown a good deal further; the C library keeps what was freed; and the pages of the program
 * that were needed for the start alone stay mapped. All three are given back, some time after the start and whenever
 * the process is quiet again after it grew.
 */
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import v8 from 'node:v8';
import vm from 'node:vm';
import type { Clock } from './clock.ts';
import { libc } from './libc.ts';

/** After the start. Several times: V8 drops the bytecode of functions that were not called between some collections. */
const FIRST_MS = [20_000, 25_000, 30_000, 35_000, 40_000, 45_000];
const PERIOD_MS = 60_000;
/** Pages of the program that an idle process uses, and that come back by themselves: some 17 MB. More has grown. */
const RETURNING_BYTES = 24 << 20;
/** A process that is larger than this is not small any more, and gives back what it can more readily. */
const LARGE_BYTES = 72 << 20;
const WORTHWHILE_BYTES = 4 << 20;
/** Share of the time that a quiet process works. */
const QUIET = 0.05;
const MADV_DONTNEED = 4;

/** Keeps this process small from now on. */
export function keepSmall(clock: Clock): void {
  const shrink = shrinker();
  /** Size behind the last time. */
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
  // As if memory had run out: compacts, and gives back what is free inside the heap too.
  const collect = () => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  const library = libc();
  if (!library) return collect;
  // glibc's; other C libraries may have none.
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
 * Mappings of /proc/PID/smaps whose pages the kernel can take back and read again from their file: those that cannot be
 * written and of which no page was ever changed, as relocations do. What is used comes back from the page cache.
 */
export function unmodified(smaps: string): Range[] {
  const ranges: Range[] = [];
  for (const [, start, end, body] of smaps.matchAll(mapping))
    if (/^Anonymous:\s+0 kB$/m.test(body!))
      ranges.push({ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) });
  return ranges;
}

/** Head and body of a private mapping of a file: read-only or executable, device and inode, path. */
const mapping = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ [1-9]\d* +\/.*\n((?:[A-Z].*\n?)*)/gm;

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
