/** Prometheus metric for the watches that keep a program's copy of the datastore current. */
import type { Registry } from 'prom-client';
import { exposeGauge, type Reading } from '../lib/series.ts';

/** Whether the watch of each resource is open. */
export type WatchStates = ReadonlyMap<string, boolean>;

export interface Watch {
  readonly resource: string;
  readonly staleReason: string | undefined;
}

export function watchStates(watches: readonly Watch[]): WatchStates {
  return new Map(watches.map(({ resource, staleReason }) => [resource, staleReason === undefined]));
}

export function registerWatchMetrics(registry: Registry, read: () => WatchStates): void {
  exposeGauge(registry, {
    name: 'cali_datastore_watch_up',
    help: '1 while the watch of a resource is open, so that changes arrive immediately',
    labels: ['resource'],
    read: () => [...read()].map(([resource, isUp]): Reading => [{ resource }, Number(isUp)]),
  });
}
