import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readConfig } from '../../../../agent/inputs/environment.ts';
import { readInstallSettings } from '../../../../agent/inputs/install-settings.ts';
import { poolOf } from '../../../../agent/inputs/pool-settings.ts';
import { readConfig as readControllersConfig } from '../../../../controllers/config.ts';

const root = path.resolve(import.meta.dirname, '..', '..', '..', '..');

type Reader = (environment: Record<string, string>) => unknown;
const agent: Reader = (environment) => readConfig({ NODENAME: 'n1', ...environment });

const address = /must be "autodetect", "none", or an IPv[46] address with or without prefix length$/;
const method = /must be first-found, kubernetes-internal-ip, interface=NAMES/;
const mode = /must be Never, Always or CrossSubnet$/;
const truth = /must be true or false$/;
const whole = /must be a whole number from \d+ to \d+$/;
const severity = /must be (debug|Trace), .* or \w+$/i;
const folder = /must be an absolute path$/;
const namespaces = /must be namespaces separated by commas$/;

/** Variable, invalid values, and the sentence after `VARIABLE=VALUE: `. */
const refused: readonly (readonly [Reader, string, readonly string[], RegExp])[] = [
  [agent, 'NODENAME', ['Upper', 'a_b', '-a', 'a/b'], /must be lower case letters, digits, "-" and "\."/],
  [agent, 'IP', ['foo', 'fd00::1', '10.0.0.300', '10.0.0.1/33', 'Autodetect'], address],
  [agent, 'IP6', ['foo', '10.0.0.1', 'fd00::1/129'], address],
  [agent, 'IP', ['127.0.0.1', '0.0.0.0', '224.0.0.5'], /^is .*: write an address of this node$/],
  [agent, 'IP6', ['::1', 'fe80::1', 'ff02::1'], /^is .*: write an address of this node$/],
  [
    agent,
    'IP_AUTODETECTION_METHOD',
    ['foo', 'first-found=eth0', 'cidr', 'First-Found'],
    /must be first-found|is not a network/,
  ],
  [agent, 'IP6_AUTODETECTION_METHOD', ['foo', 'auto'], method],
  [
    agent,
    'IP_AUTODETECTION_METHOD',
    ['interface=', 'interface=(', 'skip-interface=eth0,'],
    /is not a regular expression: write/,
  ],
  [
    agent,
    'IP_AUTODETECTION_METHOD',
    ['can-reach=', 'can-reach', 'can-reach=a b'],
    /is not an address or a host name: write/,
  ],
  [
    agent,
    'IP6_AUTODETECTION_METHOD',
    ['cidr=x', 'cidr=fd00::/8,', 'cidr=fd00::/129'],
    /is not a network: write cidr=/,
  ],
  [agent, 'AS', ['foo', '0', '-1', '4294967296', '65536.1', '0.0'], /must be an AS number/],
  [agent, 'CALICO_ROUTER_ID', ['foo', '0.0.0.0', 'fd00::1', '7'], /must be hash, or four octets/],
  [agent, 'BGP_LOGSEVERITYSCREEN', ['foo', '7', 'constructor'], severity],
  [agent, 'FELIX_LOGSEVERITYSCREEN', ['foo', '7'], severity],
  [agent, 'FELIX_HEALTHHOST', ['foo', '10.0.0.0/8'], /must be an IP address or localhost$/],
  [agent, 'FELIX_HEALTHPORT', ['foo', '-1', '65536'], whole],
  [agent, 'FELIX_PROMETHEUSMETRICSHOST', ['foo'], /must be an IP address or localhost$/],
  [agent, 'FELIX_PROMETHEUSMETRICSPORT', ['foo', '1.5'], whole],
  [agent, 'FELIX_IPIPENABLED', ['foo'], /must be true or false/],
  [agent, 'FELIX_IPIPMTU', ['foo', '65536'], /must be (a number|at most)/],
  [
    agent,
    'FELIX_DEVICEROUTEPROTOCOL',
    ['2', '162'],
    /(is kernel, which|marks the other kind).*: choose another number$/,
  ],
  [agent, 'FELIX_FEATUREDETECTOVERRIDE', ['foo', 'A=b'], /must be a list such as/],
  [agent, 'FELIX_ROUTESOURCE', ['foo'], /must be CalicoIPAM, WorkloadIPs, BGP or Datastore$/],
  [agent, 'CALICO_NETWORKING_BACKEND', ['foo', 'Bird'], /must be bird, vxlan or none$/],
  [agent, 'CALI_RUN_DIR', ['run', './run'], folder],
  [agent, 'CALI_HOLD_TIME', ['foo', '2', '3.7'], whole],
  [agent, 'CALI_RESTART_TIME', ['foo', '0', '4096'], whole],
  [agent, 'CALI_UNREACHABLE_TIME', ['foo', '4096'], whole],
  [agent, 'CALI_MESH_TTL_SECURITY', ['foo', 'auto'], /must be Auto or Disabled$/],
  [
    agent,
    'CALI_BGP_WIRE_LOG',
    ['foo', 'all,', '10.0.0.0/8'],
    /must be all, or addresses of peers separated by commas$/,
  ],
  [agent, 'CALI_BGP_METRICS', ['foo'], /must be Summary or Detailed$/],
  [agent, 'CALI_IPAM', ['foo'], /must be cali-ipam or host-local$/],
  [agent, 'POD_NAMESPACE', ['Upper', 'a/b', 'a.b'], /must be a namespace/],
  [agent, 'CALI_REFLECTOR_NAMESPACES', ['a b', 'a,B'], namespaces],
  [agent, 'CALI_BGP_ROUTE_PROTOCOL', ['foo', '0', '256'], whole],
  [agent, 'CALI_BGP_ROUTE_PROTOCOL', ['2'], /^is kernel, .*: choose another number$/],
  [agent, 'CALI_RESYNC_INTERVAL', ['foo', '0'], whole],
  [agent, 'CALI_REFLECTOR_SERVICE', ['a.b', 'Rr', 'a/b'], /must be the name of a Service/],
  [agent, 'CALI_PROC_SYS', ['proc'], folder],
  [agent, 'CALI_REFLECTOR_PORT', ['foo', '0'], whole],
  [agent, 'NO_DEFAULT_POOLS', ['foo', '2'], truth],
  [
    agent,
    'CALICO_IPV4POOL_CIDR',
    ['foo', '10.0.0.1', 'fd00::/64', '10.0.0.0/33'],
    /must be none, or an IPv4 network such as/,
  ],
  [
    agent,
    'CALICO_IPV4POOL_CIDR',
    ['10.0.0.1/16', '10.0.0.0/30', '169.254.0.0/20'],
    /bits set|larger than the pool|choose another range/,
  ],
  [agent, 'CALICO_IPV6POOL_CIDR', ['foo', '10.0.0.0/16'], /must be none, or an IPv6 network such as/],
  [agent, 'CALICO_IPV4POOL_BLOCK_SIZE', ['foo', '19', '33'], whole],
  [agent, 'CALICO_IPV6POOL_BLOCK_SIZE', ['foo', '64'], whole],
  [agent, 'CALICO_IPV4POOL_NAT_OUTGOING', ['foo'], truth],
  [agent, 'CALICO_IPV6POOL_NAT_OUTGOING', ['foo'], truth],
  [agent, 'CALICO_IPV4POOL_NODE_SELECTOR', ['foo', 'zone =='], /must be a selector, such as all\(\)/],
  [agent, 'CALICO_IPV6POOL_NODE_SELECTOR', ['foo'], /must be a selector, such as all\(\)/],
  [agent, 'CALICO_IPV4POOL_DISABLE_BGP_EXPORT', ['foo'], truth],
  [agent, 'CALICO_IPV6POOL_DISABLE_BGP_EXPORT', ['foo'], truth],
  [agent, 'CALICO_IPV4POOL_IPIP', ['foo', 'true', 'constructor'], mode],
  [agent, 'CALICO_IPV4POOL_VXLAN', ['foo'], mode],
  [agent, 'CALICO_IPV6POOL_VXLAN', ['foo'], mode],
  [readInstallSettings, 'CALI_CNI_SHIM', ['cali'], folder],
  [readInstallSettings, 'CALI_CNI_LOOPBACK', ['loopback'], folder],
  [readInstallSettings, 'CNI_BIN_DIR', ['bin'], folder],
  [readInstallSettings, 'CNI_NET_DIR', ['net.d'], folder],
  [
    readInstallSettings,
    'CNI_CONF_NAME',
    ['foo', '../a.conflist', '10-cali.conf'],
    /must be a file name that ends in \.conflist$/,
  ],
  [readInstallSettings, 'CNI_MTU', ['foo', '-1', '65536'], whole],
  [readControllersConfig, 'LOG_LEVEL', ['foo'], severity],
  [readControllersConfig, 'HEALTH_PORT', ['foo', '65536'], whole],
  [readControllersConfig, 'METRICS_HOST', ['foo'], /must be an IP address or localhost$/],
  [readControllersConfig, 'METRICS_PORT', ['foo'], whole],
  [readControllersConfig, 'POD_NAMESPACE', ['Upper'], /must be a namespace/],
  [readControllersConfig, 'CALI_REFLECTOR_NAMESPACES', ['a b'], namespaces],
];

/** Variables whose text another program or the file system judges. */
const elsewhere = ['KUBECONFIG', 'HOSTNAME', 'CALICO_NODENAME_FILE', 'FELIX_NAME'];

describe('a setting of the environment', () => {
  it.each(refused.map(([read, ...row]) => [...row, read] as const))(
    '%s is refused with variable, value and remedy when it is one of %j',
    (variable, values, remedy, read) => {
      for (const value of values) {
        let message = '';
        try {
          read({ [variable]: value });
        } catch (error) {
          message = (error as Error).message;
        }
        const prefix = `${variable}=${value}: `;
        expect(message.slice(0, prefix.length)).toBe(prefix);
        expect(message.slice(prefix.length)).toMatch(remedy);
      }
    },
  );

  it('is in the table above when the sources or the documentation name it', () => {
    const sources = [
      'agent/inputs/environment.ts',
      'agent/main.ts',
      'controllers/main.ts',
      'agent/inputs/pool-settings.ts',
      'agent/inputs/install-settings.ts',
      'controllers/config.ts',
    ];
    const named = sources.flatMap((file) => [
      ...readFileSync(path.join(root, file), 'utf8').matchAll(/'([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|IP6?|AS)'/g),
    ]);
    const documented = readFileSync(path.join(root, 'docs', 'configuration.md'), 'utf8')
      .split('\n')
      .filter((line) => /^\| [A-Z][A-Z0-9_]+(, [A-Z0-9_]+)* +\|/.test(line))
      .flatMap((line) => line.split('|')[1]!.trim().split(', '));
    const known = new Set([...refused.map(([, variable]) => variable), ...elsewhere]);
    expect(documented.length).toBeGreaterThan(30);
    for (const variable of [...named.map(([, name]) => name!), ...documented])
      expect(known.has(variable), variable).toBe(true);
  });

  it('may have every spelling of Calico', () => {
    const read = (environment: Record<string, string>) => readConfig({ NODENAME: 'n1', ...environment });
    for (const [text, wanted] of [
      ['Off', 'Never'],
      ['never', 'Never'],
      ['ALWAYS', 'Always'],
      ['cross-subnet', 'CrossSubnet'],
      ['CrossSubnet', 'CrossSubnet'],
    ] as const)
      expect(read({ CALICO_IPV4POOL_VXLAN: text }).defaultPools.vxlanModes[4]).toBe(wanted);
    expect(read({ NO_DEFAULT_POOLS: 'True' }).defaultPools.isWanted).toBe(false);
    expect(read({ CALICO_IPV4POOL_NAT_OUTGOING: 'no' }).defaultPools.natOutgoing[4]).toBe(false);
    const { defaultPools } = read({
      CALICO_IPV4POOL_NODE_SELECTOR: "zone == 'a'",
      CALICO_IPV4POOL_DISABLE_BGP_EXPORT: 'true',
    });
    expect(poolOf(defaultPools, 4, '10.0.0.0/16').spec).toMatchObject({
      nodeSelector: "zone == 'a'",
      disableBGPExport: true,
    });
    expect(poolOf(defaultPools, 6, 'fd00::/64').spec).toMatchObject({
      nodeSelector: 'all()',
      disableBGPExport: false,
    });
    expect(read({ CALICO_IPV4POOL_CIDR: 'none' }).defaultPools.cidrs[4]).toBe('none');
    expect(read({ CALICO_IPV4POOL_CIDR: '10.0.0.0/26' }).defaultPools.cidrs[4]).toBe('10.0.0.0/26');
    expect(read({ IP: '', AS: '', CALICO_IPV4POOL_IPIP: '' })).toMatchObject({
      ip: undefined,
      asNumber: undefined,
      defaultPools: { ipipMode: 'Never' },
    });
    expect(read({ AS: '1.10', IP: '10.0.0.5/24', IP6: 'none' })).toMatchObject({
      asNumber: '1.10',
      ip6: 'none',
    });
    expect(read({ CALI_BGP_WIRE_LOG: '10.0.0.2, 2001:DB8::0:1' }).wireLog).toBe('10.0.0.2,2001:db8::1');
  });

  it('is refused together with another that excludes it', () => {
    expect(() => agent({ IP: 'none', IP6: 'none' })).toThrow(
      'IP6=none: IP is none too: set one of them to an address of this node',
    );
    expect(() => agent({ CALICO_IPV4POOL_IPIP: 'Always', CALICO_IPV4POOL_VXLAN: 'CrossSubnet' })).toThrow(
      'CALICO_IPV4POOL_VXLAN=CrossSubnet: excludes CALICO_IPV4POOL_IPIP: set one of them to Never',
    );
  });

  it('names a file whose content is not the name of a Node', () => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'cali-nodename-'));
    const file = path.join(directory, 'nodename');
    writeFileSync(file, 'Not A Name\n');
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const read = () => readConfig({ CALICO_NODENAME_FILE: file });
    expect(read).toThrow(
      `CALICO_NODENAME_FILE=${file}: "Not A Name" in it is not the name of a Node: set NODENAME`,
    );
    writeFileSync(file, 'node-1\n');
    expect(readConfig({ CALICO_NODENAME_FILE: file }).node).toBe('node-1');
  });
});
