/** The alerts in deploy/monitoring, and the metrics whose names do not follow Prometheus' conventions. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { root } from './lab.ts';

export const folder = path.join(root, 'deploy', 'monitoring');
export const alertsFile = path.join(folder, 'alerts.yaml');

interface Alerts {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

export const { groups } = parse(readFileSync(alertsFile, 'utf8')) as Alerts;
export const rules = groups.flatMap((group) => group.rules);

/** Counters that Calico named before Prometheus asked for _total. */
export const CALICO_COUNTERS = ['felix_int_dataplane_failures', 'ipam_allocations_gc_reclamations'];
