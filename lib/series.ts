/** Gauges and counters that read their values at each scrape. prom-client has only setters. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { type Labels, polledText, type Reading, type Series } from './polled-text.ts';

export type { Reading, Series } from './polled-text.ts';

/** Registers a value that goes up and down. */
export function exposeGauge(registry: Registry, series: Series): void {
  remember(registry, series.name, () => polledText(series, 'gauge'));
  new Gauge(optionsOf(registry, series));
}

/** Registers a value that grows, and starts at zero with its process or its labels. */
export function exposeCounter(registry: Registry, series: Series): void {
  remember(registry, series.name, () => polledText(series, 'counter'));
  new Counter(optionsOf(registry, series));
}

/** Writers of text, by name, of the series of each registry. */
const writers = new WeakMap<Registry, Map<string, () => string>>();

function remember(registry: Registry, name: string, write: () => string): void {
  const known = writers.get(registry) ?? new Map<string, () => string>();
  writers.set(registry, known.set(name, write));
}

/** Returns the function that writes a series of this file as text; undefined for another metric. */
export function writerOf(registry: Registry, name: string): (() => string) | undefined {
  return writers.get(registry)?.get(name);
}

interface Settable {
  reset(): void;
  inc(labels: Labels, value: number): void;
}

function optionsOf(registry: Registry, { name, help, labels = [], read }: Series) {
  return {
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
    collect(this: Settable) {
      this.reset();
      for (const [of, value] of readings(read())) this.inc(of, value);
    },
  };
}

function readings(value: number | Iterable<Reading>): Iterable<Reading> {
  return typeof value === 'number' ? [[{}, value]] : value;
}

/** The sum of counters that come and go, such as those of sessions. It never falls when one of them goes. */
export class RunningTotal {
  #total = 0;
  #last: ReadonlyMap<string, number> = new Map();

  /** Takes all counters of now, by key; the sum of what all counters have counted. */
  update(counters: ReadonlyMap<string, number>): number {
    for (const [key, value] of counters) {
      const before = this.#last.get(key) ?? 0;
      this.#total += value >= before ? value - before : value;
    }
    this.#last = new Map(counters);
    return this.#total;
  }
}
