/** Settings of the controllers from KubeControllersConfiguration `default`, with Calico's defaults. */
import type { KubeControllersConfiguration } from '../datastore/schema/kube-controllers.ts';
import type { Grace } from '../ipam/suspicions.ts';
import { parseDuration } from '../lib/duration.ts';

export interface ControllerSettings {
  readonly periodMs: number;
  /** Undefined: collection is disabled. */
  readonly grace: Grace | undefined;
}

const PERIOD_MS = 5 * 60_000;
const LEAK_GRACE_MS = 15 * 60_000;
/** Spec of the object in a new cluster: the supported settings with their defaults. */
export const DEFAULT_SPEC = { controllers: { node: { reconcilerPeriod: '5m0s', leakGracePeriod: '15m0s' } } };
/** A kubelet recreates a Node that was deleted by mistake within this time. Calico does not wait at all (I-035). */
const NODE_GRACE_MS = 60_000;

export function settingsOf(spec: KubeControllersConfiguration['spec'] | undefined): ControllerSettings {
  const { reconcilerPeriod, leakGracePeriod } = spec?.controllers.node ?? {};
  const leakMs = parseDuration(leakGracePeriod ?? '') ?? LEAK_GRACE_MS;
  return {
    periodMs: Math.max(1000, parseDuration(reconcilerPeriod ?? '') ?? PERIOD_MS),
    grace: leakMs === 0 ? undefined : { leakMs, nodeMs: Math.min(NODE_GRACE_MS, leakMs) },
  };
}
