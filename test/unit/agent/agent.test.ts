import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { chooseAddress } from '../../../agent/identity/autodetect.ts';
import { routerIdOf } from '../../../agent/identity/node-setup.ts';
import { readConfig } from '../../../agent/inputs/environment.ts';
import { settingsFor } from '../../../agent/inputs/settings.ts';
import type { AgentStatus } from '../../../agent/report/status.ts';
import { exitCode, renderStatus } from '../../../calictl/node-status.ts';
import { bgpConfigurationKind } from '../../../datastore/schema/bgp-configuration.ts';
import { felixConfigurationKind } from '../../../datastore/schema/cluster.ts';
import type { LinkAddress } from '../../../kernel/addresses.ts';
import { VERSION } from '../../../lib/version.ts';

const addresses: LinkAddress[] = [
  { device: 'lo', isUp: true, mtu: 65536, cidr: '127.0.0.1/8', scope: 'host' },
  { device: 'docker0', isUp: true, mtu: 1500, cidr: '172.17.0.1/16', scope: 'global' },
  { device: 'eth1', isUp: false, mtu: 1500, cidr: '10.9.0.1/24', scope: 'global' },
  { device: 'eth0', isUp: true, mtu: 1500, cidr: '10.0.0.5/20', scope: 'global' },
  { device: 'eth0', isUp: true, mtu: 1500, cidr: 'fe80::1/64', scope: 'link' },
  { device: 'eth0', isUp: true, mtu: 1500, cidr: 'fd00::5/64', scope: 'global' },
];

const surroundings = {
  addresses,
  internalIps: [],
  sourceTowards: async (destination: string) => (destination === 'nowhere' ? undefined : '10.9.0.7'),
  warn: () => undefined,
};

describe('the node’s address', () => {
  it.each<[string, 4 | 6, string | undefined, string | undefined, string | undefined]>([
    ['the first one on an ordinary interface that is up', 4, 'autodetect', undefined, '10.0.0.5/20'],
    ['an IPv6 address that is not link-local', 6, 'autodetect', undefined, 'fd00::5/64'],
    ["the Node's annotation when nothing is set", 4, undefined, '192.0.2.1/24', '192.0.2.1/24'],
    ['none', 4, 'none', '192.0.2.1/24', undefined],
    ['the given address with the given prefix length', 4, '10.0.0.5/24', undefined, '10.0.0.5/24'],
    ['the given address with the prefix length of its interface', 4, '10.0.0.5', undefined, '10.0.0.5/20'],
    ['the given address as a host address when no interface has it', 4, '10.0.0.6', undefined, '10.0.0.6/32'],
  ])('is %s', async (_, family, value, present, expected) => {
    expect(await chooseAddress(family, { value, method: 'first-found' }, present, surroundings)).toBe(
      expected,
    );
  });

  it.each<[string, 4 | 6, string | undefined]>([
    ['kubernetes-internal-ip', 4, '10.9.0.7/24'],
    ['kubernetes-internal-ip', 6, undefined],
    ['interface=ens.*,eth.*', 4, '10.9.0.7/24'],
    ['interface=wlan0', 4, undefined],
    ['interface=docker0', 4, '172.17.0.1/16'],
    ['skip-interface=eth.*', 4, '10.9.0.7/24'],
    ['can-reach=10.9.0.1', 4, '10.9.0.7/24'],
    ['can-reach=nowhere', 4, undefined],
    ['cidr=192.0.2.0/24,10.9.0.0/16', 4, '10.9.0.7/24'],
    ['cidr=fd00::/16', 6, 'fd00::5/64'],
  ])('%s finds the IPv%i address with its prefix length', async (method, family, expected) => {
    const more: LinkAddress[] = [
      { device: 'docker0', isUp: true, mtu: 1500, cidr: '172.17.0.1/16', scope: 'global' },
      { device: 'ens5', isUp: true, mtu: 9001, cidr: '10.9.0.7/24', scope: 'global' },
      { device: 'ens6', isUp: false, mtu: 9001, cidr: '192.0.2.1/24', scope: 'global' },
    ];
    const around = { ...surroundings, addresses: [...addresses, ...more], internalIps: ['10.9.0.7'] };
    expect(await chooseAddress(family, { value: 'autodetect', method }, undefined, around)).toBe(expected);
  });

  const internal: LinkAddress = {
    device: 'bond1',
    isUp: true,
    mtu: 1500,
    cidr: '192.168.7.5/24',
    scope: 'global',
  };
  it.each<[string, string[], string, RegExp | undefined]>([
    ['the InternalIP when it is also the first address found', ['10.0.0.5'], '10.0.0.5/20', undefined],
    [
      "the InternalIP rather than the first interface's address, with a warning that names both",
      ['fd00::5', '192.168.7.5'],
      '192.168.7.5/24',
      /^the agent uses the Node's InternalIP 192\.168\.7\.5\/24 on bond1; first-found would choose 10\.0\.0\.5\/20 on eth0\. Set IP_AUTODETECTION_METHOD/,
    ],
    [
      "the first interface's address when no interface has the InternalIP, with a warning",
      ['203.0.113.9'],
      '10.0.0.5/20',
      /^the Node's InternalIP 203\.0\.113\.9 is on no interface that is up, so the agent uses 10\.0\.0\.5\/20 on eth0/,
    ],
    ["the first interface's address when the Node has no InternalIP", [], '10.0.0.5/20', undefined],
    [
      'an InternalIP on an interface that first-found skips',
      ['172.17.0.1'],
      '172.17.0.1/16',
      /172\.17\.0\.1/,
    ],
  ])('defaults to %s', async (_, internalIps, expected, warning) => {
    const warnings: string[] = [];
    const around = {
      ...surroundings,
      addresses: [...addresses, internal],
      internalIps,
      warn: (sentence: string) => warnings.push(sentence),
    };
    const setting = { value: 'autodetect', method: undefined };
    expect(await chooseAddress(4, setting, undefined, around)).toBe(expected);
    expect(warnings).toEqual(warning ? [expect.stringMatching(warning)] : []);
  });

  it('is refused when malformed, with the name of the variable or the method', async () => {
    const refused = (value: string, method = 'first-found') =>
      chooseAddress(4, { value, method }, undefined, surroundings);
    await expect(refused('fd00::1')).rejects.toThrow(/^IP=fd00::1: must be "autodetect", "none", or an IPv4/);
    await expect(refused('autodetect', 'guess')).rejects.toThrow(
      /^autodetection method guess: must be first/,
    );
    await expect(refused('autodetect', 'cidr=x')).rejects.toThrow(/"x" is not a network: write/);
    await expect(refused('autodetect', 'interface=(')).rejects.toThrow(/"\(" is not a regular expression/);
  });
});

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

  it('derive the router ID from the address, from a hash below the multicast range, or take it as given', () => {
    const node = {
      name: 'n1',
      labels: {},
      addresses: { 4: { address: '10.0.0.5', length: 24 } },
      asNumber: undefined,
      clusterId: undefined,
      tunnels: {},
    };
    const of = (routerId?: string) =>
      routerIdOf(readConfig({ NODENAME: 'n1', CALICO_ROUTER_ID: routerId }), node);
    expect(of()).toBe('10.0.0.5');
    expect(of('1.2.3.4')).toBe('1.2.3.4');
    expect(Number(of('hash').split('.')[0])).toBeLessThan(224);
    expect(of('hash')).toBe(of('hash'));
  });

  it('report the version of package.json', () => {
    const file = path.resolve(import.meta.dirname, '..', '..', '..', 'package.json');
    expect((JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version).toBe(VERSION);
  });
});

describe('calictl node status', () => {
  const since = new Date(2026, 10, 20, 9, 5, 7);
  const peer = {
    config: {
      address: '10.0.0.2',
      port: 179,
      asNumber: 64512,
      localAs: 64512,
      localAddress: '10.0.0.1',
      families: [4 as const],
      isPassive: false,
      peerType: 'node-to-node mesh' as const,
      name: 'n2',
      holdTimeSeconds: 90,
      keepaliveSeconds: undefined,
      restartTimeSeconds: 120,
      allowedLocalAs: 0,
    },
    state: 'Established',
    since: since.getTime(),
    lastError: undefined as string | undefined,
    identifier: '10.0.0.2',
    prefixesReceived: 3,
    prefixesSent: 1,
    flaps: 0,
    messagesReceived: 9,
    messagesSent: 9,
    isRestarting: false,
    lastNotification: undefined,
    localAddress: '10.0.0.1',
    families: [],
    updatesReceived: 3,
    updatesSent: 1,
    capabilities: [],
    holdTimeSeconds: 90,
    keepaliveSeconds: 30,
    queuedOctets: 0,
    malformed: undefined,
    bfd: undefined,
  };
  const status: AgentStatus = {
    node: 'n1',
    version: VERSION,
    pid: 1,
    startedAt: 0,
    notReady: [],
    bgp: {
      error: undefined,
      asNumber: 64512,
      routerId: '10.0.0.1',
      families: [4],
      isSettled: true,
      peers: [peer],
    },
    tunnels: [],
    podMtu: 1500,
    dataplane: { routes: 4, problems: [] },
    endpoints: 2,
    objects: [],
    notices: [],
    objectProblems: 0,
  };

  it('prints calicoctl’s table', () => {
    expect(renderStatus(status, 'table', new Date(2026, 10, 20, 12))).toBe(
      [
        'Cali process is running.',
        '',
        'IPv4 BGP status',
        '+--------------+-------------------+-------+----------+-------------+----------+------+',
        '| PEER ADDRESS |     PEER TYPE     | STATE |  SINCE   |    INFO     | RECEIVED | SENT |',
        '+--------------+-------------------+-------+----------+-------------+----------+------+',
        '| 10.0.0.2     | node-to-node mesh | up    | 09:05:07 | Established | 3        | 1    |',
        '+--------------+-------------------+-------+----------+-------------+----------+------+',
      ].join('\n'),
    );
    expect(exitCode(status)).toBe(0);
  });

  it('reports that BGP is on hold and why', () => {
    const onHold = 'waiting until this is corrected: BGPConfiguration node.n1: is not an object';
    const held = { ...status, bgp: { ...status.bgp, onHold } };
    expect(renderStatus(held, 'table', since)).toContain(
      `BGP is on hold, its sessions stay unchanged: ${onHold}`,
    );
    expect(renderStatus(held, 'table', since)).toContain('| 10.0.0.2 ');
    expect(exitCode(held)).toBe(1);
  });

  it('names the objects that cannot be used as stored', () => {
    const pool = { kind: 'IPPool', name: 'p', field: 'spec.cidr', reason: 'is no network\u202e' };
    expect(
      renderStatus({ ...status, objects: [pool], objectProblems: 3 }, 'table', since)
        .split('\n')
        .slice(-3),
    ).toEqual(['Objects with faults:', '  IPPool p: spec.cidr: is no network\\u202e', '  and 2 more']);
  });

  it('prints why a session is down, prints the date if it went down on another day, and exits with code 1', () => {
    const down = {
      ...status,
      bgp: { ...status.bgp, peers: [{ ...peer, state: 'Active', lastError: 'Connection refused' }] },
    };
    expect(renderStatus(down, 'table', new Date(2026, 10, 21))).toContain(
      '| start | 2026-11-20 | Active Connection refused |',
    );
    expect(exitCode(down)).toBe(1);
    expect(renderStatus({ ...status, bgp: { ...status.bgp, peers: [] } }, 'table', since)).toContain(
      'No IPv4 peers found.',
    );
  });
});
