/** promtool (Debian package prometheus) accepts the metrics, and the alerts raise one alert per cause. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { alertsFile, CALICO_COUNTERS, groups, rules } from '../helpers/alert-rules.ts';
import { alertScenarios } from '../helpers/alert-scenarios.ts';
import { hasProgram } from '../helpers/lab.ts';
import { programs } from '../helpers/metrics.ts';

describe('the metrics', () => {
  it.skipIf(!hasProgram('promtool'))('pass promtool check metrics (skipped without promtool)', async () => {
    for (const [program, registry] of Object.entries(programs())) {
      const { stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], {
        input: await registry.metrics(),
        encoding: 'utf8',
      });
      expect(error).toBeUndefined();
      const complaints = `${stdout}${stderr}`
        .split('\n')
        .filter(
          (line) =>
            line &&
            !CALICO_COUNTERS.some((name) => line === `${name} counter metrics should have "_total" suffix`),
        );
      expect([program, complaints]).toEqual([program, []]);
    }
  });
});

describe('alerts and dashboard', () => {
  it.skipIf(!hasProgram('promtool'))('raise one alert per cause (skipped without promtool)', () => {
    const work = mkdtempSync(path.join(os.tmpdir(), 'cali-alerts-'));
    try {
      const tests = alertScenarios.map(({ name, series, minutes = 30, alerts }) => ({
        name,
        interval: '1m',
        input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
        alert_rule_test: rules.map(({ alert }) => ({
          eval_time: `${minutes}m`,
          alertname: alert,
          exp_alerts: (alerts[alert] ?? []).map((exp_labels) => ({ exp_labels })),
        })),
      }));
      // promtool compares annotations too.
      const bare = JSON.parse(
        JSON.stringify(groups, (key, value: unknown) => (key === 'annotations' ? undefined : value)),
      ) as unknown;
      writeFileSync(path.join(work, 'rules.yaml'), JSON.stringify({ groups: bare }));
      writeFileSync(path.join(work, 'test.yaml'), JSON.stringify({ rule_files: ['rules.yaml'], tests }));
      const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', 'test.yaml'], {
        cwd: work,
        encoding: 'utf8',
      });
      expect(`${stdout}${stderr}`).toContain('SUCCESS');
      expect(status).toBe(0);
      const checked = spawnSync('promtool', ['check', 'rules', alertsFile], { encoding: 'utf8' });
      expect(checked.stdout).toContain(`SUCCESS: ${rules.length} rules found`);
    } finally {
      rmSync(work, { recursive: true });
    }
  });
});
