/** The series that every program has: its version, and what its process uses. Names as Prometheus's own clients. */
import { readdirSync, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { Registry } from 'prom-client';
import { exposeCounter, exposeGauge } from './series.ts';
import { VERSION } from './version.ts';

export function registerProcessMetrics(registry: Registry): void {
  exposeGauge(registry, {
    name: 'cali_build_info',
    help: 'Version of Cali and of Node.js; always 1',
    labels: ['version', 'nodejs'],
    read: () => [[{ version: VERSION, nodejs: process.version }, 1]],
  });
  exposeCounter(registry, {
    name: 'process_cpu_seconds_total',
    help: 'CPU time, user and system',
    read: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  });
  exposeGauge(registry, {
    name: 'process_resident_memory_bytes',
    help: 'Resident memory',
    read: () => process.memoryUsage.rss(),
  });
  exposeGauge(registry, {
    name: 'process_start_time_seconds',
    help: 'Start time of the process, as Unix time',
    read: () => Date.now() / 1000 - process.uptime(),
  });
  exposeGauge(registry, {
    name: 'process_open_fds',
    help: 'Open file descriptors',
    read: () => readdirSync('/proc/self/fd').length,
  });
  exposeGauge(registry, {
    name: 'process_max_fds',
    help: 'Maximum number of open file descriptors',
    read: () => {
      const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
      return limit === undefined ? [] : Number(limit);
    },
  });
  exposeCounter(registry, {
    name: 'nodejs_eventloop_active_seconds_total',
    help: 'Time during which the event loop was busy; a rate near 1 delays everything',
    read: () => performance.eventLoopUtilization().active / 1000,
  });
}
