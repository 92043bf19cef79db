import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../../agent/inputs/environment.ts';
import { settingsFor } from '../../../../agent/inputs/settings.ts';
import { bgpConfigurationKind } from '../../../../datastore/schema/bgp-configuration.ts';
import { felixConfigurationKind } from '../../../../datastore/schema/cluster.ts';

describe('agent settings', () => {
  it('have Calico’s names and defaults', () => {
    expect(readConfig({ NODENAME: 'n1' })).toMatchObject({
      node: 'n1',
      runDirectory: '/var/run/cali',
      holdTimeSeconds: 90,
    });
    expect(readConfig({ HOSTNAME: 'Upper' }).node).toBe('upper');
    expect(() => readConfig({ NODENAME: 'n', FELIX_HEALTHPORT: 'x' })).toThrow(
      'FELIX_HEALTHPORT=x: must be a whole number from 0 to 65535',
    );
    for (const text of ['3.7', '0x5A', '1e2'])
      expect(() => readConfig({ NODENAME: 'n', CALI_HOLD_TIME: text })).toThrow(
        /must be a whole number from/,
      );
  });

  it('are read from the environment, the node’s own object, the default object and built-in values, in order', () => {
    const felix = (name: string, spec: object) =>
      felixConfigurationKind.schema.parse({
        apiVersion: 'projectcalico.org/v3',
        kind: 'FelixConfiguration',
        metadata: { name },
        spec,
      });
    const config = (environment = {}) => readConfig({ NODENAME: 'n1', ...environment });
    expect(settingsFor(config(), [], [])).toMatchObject({
      logSeverity: 'info',
      tunnels: { mtu: { ipip: 0, vxlan4: 0, vxlan6: 0 }, vxlanPort: 4789, vxlanVni: 4096 },
      isWithoutBgp: false,
      resyncMs: 90_000,
      hasForwarding: true,
      health: { host: 'localhost', port: 9099 },
      metrics: { host: '127.0.0.1', port: 9091 },
    });
    const objects = [
      felix('default', {
        logSeverityScreen: 'Warning',
        routeRefreshInterval: '2m30s',
        prometheusMetricsEnabled: false,
        healthPort: 1,
      }),
      felix('node.n1', { healthPort: 2, ipForwarding: 'Disabled', ipipMTU: 1400, natPortRange: '1000:2000' }),
      felix('node.n2', { healthPort: 3 }),
    ];
    // Calico has two logs with a severity each; our single log uses the more verbose one.
    const bgp = (logSeverityScreen: string) =>
      bgpConfigurationKind.schema.parse({
        apiVersion: 'projectcalico.org/v3',
        kind: 'BGPConfiguration',
        metadata: { name: 'default' },
        spec: { logSeverityScreen },
      });
    for (const [severity, wanted] of [
      ['Debug', 'Debug'],
      ['Error', 'Warning'],
    ] as const)
      expect(settingsFor(config(), objects, [bgp(severity)]).logSeverity).toBe(wanted);
    expect(settingsFor(config(), objects, [])).toMatchObject({
      logSeverity: 'Warning',
      tunnels: { mtu: { ipip: 1400 } },
      filter: { nat: { ports: { low: 1000, high: 2000 } } },
      resyncMs: 150_000,
      hasForwarding: false,
      health: { host: 'localhost', port: 2 },
      metrics: undefined,
    });
    expect(
      settingsFor(config({ FELIX_HEALTHPORT: '4', CALI_RESYNC_INTERVAL: '5' }), objects, []),
    ).toMatchObject({ health: { port: 4 }, resyncMs: 5000 });
    const environment = {
      FELIX_IPIPMTU: '1300',
      FELIX_VXLANENABLED: 'false',
      FELIX_ROUTESOURCE: 'Datastore',
      FELIX_EXTERNALNODESLIST: '10.9.0.0/16,10.8.0.1',
      FELIX_FEATUREDETECTOVERRIDE: 'ChecksumOffloadBroken=true',
    };
    expect(settingsFor(config(environment), objects, [])).toMatchObject({
      tunnels: { mtu: { ipip: 1300 }, vxlanEnabled: false },
      filter: { externalNodes: ['10.9.0.0/16', '10.8.0.1/32'] },
      isWithoutBgp: true,
      isOffloadBroken: true,
    });
    expect(() => config({ FELIX_VXLANVNI: 'x' })).toThrow(/^FELIX_VXLANVNI=x: /);
    expect(() => config({ CALICO_NETWORKING_BACKEND: 'x' })).toThrow(/must be bird, vxlan or none/);
  });
});
