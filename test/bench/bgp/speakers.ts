/** The measured speakers: each is a reflector on loopback with one neighbour per client and its fastest settings. */
import { existsSync } from 'node:fs';
import path from 'node:path';

/** Address of client n, as in load.c. */
export const clientAddress = (n: number) => `127.1.${Math.floor(n / 250)}.${1 + (n % 250)}`;

export const PORT = 1790;

export interface BenchSpeaker {
  readonly name: string;
  readonly program: string;
  /** Returns the files to write into the run's folder, by name. */
  files(clients: number, folder: string): Readonly<Record<string, string>>;
  command(folder: string): readonly string[];
  /** Maximum number of clients to measure with, if more would take hours. */
  readonly mostClients?: number;
}

const each = (clients: number, line: (address: string, n: number) => string) =>
  Array.from({ length: clients }, (_, n) => line(clientAddress(n), n)).join('\n');

/** Our reflector, as built in a checkout. */
const reflector = (name: string, checkout: string): BenchSpeaker => ({
  name,
  program: `${checkout}/dist/cali-node.js`,
  files: () => ({
    'cali.yaml': `apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: { name: default }
spec: { asNumber: 64512, routerID: 10.255.255.254, listenPort: ${PORT}, listenAddresses: [127.0.0.1] }
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: { name: clients }
spec: { peerCIDR: 127.1.0.0/16, asNumber: 64512 }
`,
  }),
  command: (folder) => [
    'env',
    `CALI_RUN_DIR=${folder}`,
    'BGP_LOGSEVERITYSCREEN=error',
    process.execPath,
    `${checkout}/dist/cali-node.js`,
    '--role',
    'reflector',
    '--config',
    `${folder}/cali.yaml`,
  ],
});

export const CALI = 'Cali';
export const PREVIOUS = 'previous Cali';

const bird: BenchSpeaker = {
  name: 'BIRD',
  program: '/usr/sbin/bird',
  files: (clients, folder) => ({
    'bird.conf': `log "${folder}/bird.log" { error, fatal };
router id 10.255.255.254;
protocol device { }
protocol static nexthops { ipv4; route 10.254.0.0/16 via "lo"; }
template bgp clients {
  local 127.0.0.1 port ${PORT} as 64512; multihop; passive yes; strict bind on; hold time 240; rr client;
  ipv4 { import all; gateway recursive; export where source = RTS_BGP; };
}
${each(clients, (address, n) => `protocol bgp c${n} from clients { neighbor ${address} as 64512; }`)}
`,
  }),
  command: (folder) => [
    'bird',
    '-f',
    '-c',
    `${folder}/bird.conf`,
    '-s',
    `${folder}/bird.ctl`,
    '-P',
    `${folder}/bird.pid`,
  ],
};

const frr: BenchSpeaker = {
  name: 'FRR',
  program: '/usr/lib/frr/bgpd',
  files: (clients) => ({
    'bgpd.conf': `frr defaults traditional
hostname bench
router bgp 64512
 bgp router-id 10.255.255.254
 no bgp network import-check
 coalesce-time 0
 neighbor C peer-group
 neighbor C remote-as 64512
 neighbor C passive
${each(clients, (address) => ` neighbor ${address} peer-group C`)}
 address-family ipv4 unicast
  neighbor C activate
  neighbor C route-reflector-client
 exit-address-family
line vty
`,
  }),
  command: (folder) => [
    '/usr/lib/frr/bgpd',
    '-n',
    '-Z',
    '-f',
    `${folder}/bgpd.conf`,
    '-i',
    `${folder}/bgpd.pid`,
    '--vty_socket',
    folder,
    '-l',
    '127.0.0.1',
    '-p',
    String(PORT),
    '-A',
    '127.0.0.1',
    '-P',
    '0',
    '-u',
    'frr',
    '-g',
    'frr',
  ],
};

const openbgpd: BenchSpeaker = {
  name: 'OpenBGPD',
  program: '/usr/sbin/bgpd',
  files: (clients, folder) => ({
    'openbgpd.conf': `AS 64512
router-id 10.255.255.254
listen on 127.0.0.1 port ${PORT}
fib-update no
socket "${folder}/bgpd.sock"
nexthop qualify via default
${each(clients, (address) => `neighbor ${address} { remote-as 64512; passive; route-reflector }`.replace('; passive; ', '\n passive\n ').replace('{ remote', '{\n remote').replace(' }', '\n}'))}
allow from any
allow to any
`,
  }),
  command: (folder) => [
    'sh',
    '-c',
    `mkdir -p /run/openbgpd; chmod 600 ${folder}/openbgpd.conf; exec /usr/sbin/bgpd -d -f ${folder}/openbgpd.conf`,
  ],
};

const gobgp: BenchSpeaker = {
  name: 'GoBGP',
  program: '/usr/bin/gobgpd',
  // A minute per phase at 500 clients (shared measurements), hours at 1,000.
  mostClients: 200,
  files: (clients) => ({
    'gobgpd.conf': `[global.config]
  as = 64512
  router-id = "10.255.255.254"
  port = ${PORT}
  local-address-list = ["127.0.0.1"]
${each(
  clients,
  (address) => `[[neighbors]]
  [neighbors.config]
    neighbor-address = "${address}"
    peer-as = 64512
  [neighbors.transport.config]
    passive-mode = true
    local-address = "127.0.0.1"
  [neighbors.route-reflector.config]
    route-reflector-client = true
    route-reflector-cluster-id = "10.255.255.254"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv4-unicast"`,
)}
`,
  }),
  command: (folder) => [
    'gobgpd',
    '-f',
    `${folder}/gobgpd.conf`,
    '--api-hosts',
    '127.0.0.1:50051',
    '-l',
    'error',
    '--disable-stdlog',
  ],
};

/** Returns the installed speakers; with another built checkout of Cali, its reflector follows ours. */
export function installed(previous: string | undefined): BenchSpeaker[] {
  const ours = reflector(CALI, process.cwd());
  const theirs = previous === undefined ? [] : [reflector(PREVIOUS, path.resolve(previous))];
  const all = [ours, ...theirs, bird, frr, openbgpd, gobgp];
  return all.filter(({ program }) => existsSync(program));
}
