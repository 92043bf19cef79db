import { describe, expect, it } from 'vitest';
import { DEFAULT_SPEC, settingsOf } from '../../../controllers/settings.ts';
import { kubeControllersConfigurationKind } from '../../../datastore/schema/kube-controllers.ts';

const settings = (node: object) =>
  settingsOf(
    kubeControllersConfigurationKind.schema.parse({
      apiVersion: 'projectcalico.org/v3',
      kind: 'KubeControllersConfiguration',
      metadata: { name: 'default' },
      spec: { controllers: { node } },
    }).spec,
  );
const MINUTE_MS = 60_000;

describe('the settings of the controllers', () => {
  it('are Calico’s defaults without an object, and the same with the object of a new cluster', () => {
    const defaults = { periodMs: 5 * MINUTE_MS, grace: { leakMs: 15 * MINUTE_MS, nodeMs: MINUTE_MS } };
    expect(settingsOf(undefined)).toEqual(defaults);
    expect(settings({})).toEqual(defaults);
    expect(settings(DEFAULT_SPEC.controllers.node)).toEqual(defaults);
  });

  it('are those of the object', () => {
    expect(settings({ reconcilerPeriod: '1m30s', leakGracePeriod: '2m' })).toEqual({
      periodMs: 90_000,
      grace: { leakMs: 2 * MINUTE_MS, nodeMs: MINUTE_MS },
    });
  });

  it('disable the collection with a grace period of 0', () => {
    expect(settings({ leakGracePeriod: '0s' }).grace).toBeUndefined();
  });

  it('never wait longer for a node than for a pod', () => {
    expect(settings({ leakGracePeriod: '10s' }).grace).toEqual({ leakMs: 10_000, nodeMs: 10_000 });
  });

  it('look at most once per second', () => {
    expect(settings({ reconcilerPeriod: '1ms' }).periodMs).toBe(1000);
  });
});
