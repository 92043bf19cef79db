import { expect, it } from 'vitest';
import { AppliedSettings, type SettingObjects } from '../../../../agent/inputs/applied-settings.ts';
import { readConfig } from '../../../../agent/inputs/environment.ts';
import type { Settings } from '../../../../agent/inputs/settings.ts';
import { felixConfigurationKind } from '../../../../datastore/schema/cluster.ts';

const cluster = (spec: object): SettingObjects => ({
  felixConfigurations: () => [
    felixConfigurationKind.schema.parse({
      apiVersion: 'projectcalico.org/v3',
      kind: 'FelixConfiguration',
      metadata: { name: 'default' },
      spec,
    }),
  ],
  bgpConfigurations: () => [],
});

function start(apply: (settings: Settings) => void = () => {}) {
  return new AppliedSettings(readConfig({ NODENAME: 'n1', CALI_RESYNC_INTERVAL: '5' }), apply);
}

it('the environment and the defaults hold before the first update, without being applied', () => {
  const settings = start(() => {
    throw new Error('applied');
  });
  expect(settings.current).toMatchObject({ resyncMs: 5_000, health: { port: 9099 } });
});

it('an update applies the settings of the cluster', () => {
  const applied: Settings[] = [];
  const settings = start((next) => applied.push(next));
  settings.update(cluster({ healthPort: 1 }));
  expect(settings.current.health?.port).toBe(1);
  expect(applied).toEqual([settings.current]);
});

it('the settings of a cluster can be calculated without applying them', () => {
  const settings = start(() => {
    throw new Error('applied');
  });
  expect(settings.of(cluster({ healthPort: 1 })).health?.port).toBe(1);
  expect(settings.current.health?.port).toBe(9099);
});
