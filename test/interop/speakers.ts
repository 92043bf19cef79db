/** The other BGP speakers: how to configure, start and query each. Addresses are those of helpers/exchange.ts. */
import type { ChildProcess } from 'node:child_process';
import { type Exchange, linkLocal, v4, v6 } from '../helpers/exchange.ts';

/** One session with our reflector. */
export interface Setup {
  readonly localAs: number;
  readonly caliAs: number;
  /** The speaker waits for us to connect. */
  readonly isPassive?: boolean;
  readonly password?: string;
  readonly hasGtsm?: boolean;
  readonly bfd?: 'single hop' | 'multihop';
  readonly hasAddPath?: boolean;
  /** The session uses link-local addresses, and IPv4 routes have IPv6 next hops. */
  readonly isUnnumbered?: boolean;
  /** The speaker reflects: our side and BIRD are its clients. */
  readonly isReflector?: boolean;
  /** Our side is a route server: its paths start with the AS numbers of others (RFC 7947 section 2.2.2.2). */
  readonly isRouteServerClient?: boolean;
}

export interface ForeignSpeaker {
  readonly name: string;
  readonly version: string;
  /** The Debian package, and a program whose presence shows that it is installed. */
  readonly package: string;
  readonly program: string;
  /** Features that it lacks, with the reason. */
  readonly cannot: Readonly<Record<string, string>>;
  start(exchange: Exchange, setup: Setup): ChildProcess;
  /** Returns its routes with all details, as text. */
  routes(exchange: Exchange): string;
  /** Makes it request a route refresh from us. */
  refresh(exchange: Exchange): void;
  /** Makes it end the session with a message for our operator. */
  shutdown?(exchange: Exchange, message: string): void;
}

/** A feature that not every speaker has. */
export const unnumbered = 'unnumbered: link-local peers, IPv4 over an IPv6 next hop';

/** The prefixes that every speaker announces. */
export const announced4 = '172.20.0.0/24';
export const announced6 = 'fd20::/64';

const bird: ForeignSpeaker = {
  name: 'BIRD',
  version: '2.0.12',
  package: 'bird2',
  program: 'bird',
  cannot: {},
  start(exchange, setup) {
    const config = `
log "bird.log" all;
router id ${v4(2)};
protocol device { }
protocol direct { ipv4; ipv6; }
protocol bfd {
  interface "eth0" { min rx interval 100 ms; min tx interval 100 ms; multiplier 3; };
  multihop { min rx interval 100 ms; min tx interval 100 ms; multiplier 3; };
}
protocol static own4 { ipv4; route ${announced4} blackhole { bgp_community.add((64512,1)); bgp_ext_community.add((rt,64512,9)); bgp_large_community.add((64512,2,3)); }; }
protocol static own6 { ipv6; route ${announced6} blackhole; }
protocol bgp cali {
  ${setup.isUnnumbered ? `local ${linkLocal(2)} as ${setup.localAs}; neighbor ${linkLocal(1)}%eth0` : `local ${v4(2)} as ${setup.localAs}; neighbor ${v4(1)}`} as ${setup.caliAs};
  ${setup.isPassive ? 'passive;' : ''} connect delay time 1; connect retry time 1; error wait time 1, 2;
  ${setup.password ? `password "${setup.password}";` : ''} ${setup.hasGtsm ? 'ttl security on;' : ''}
  ${setup.bfd ? 'bfd on;' : ''} ${setup.bfd === 'single hop' || setup.isUnnumbered ? 'direct;' : ''}
  graceful restart on; enable extended messages on; ${setup.isReflector ? 'rr client;' : ''}
  ipv4 { import all; export ${setup.isReflector ? 'where source = RTS_BGP || proto = "own4"' : 'where proto = "own4"'}; ${setup.isReflector ? '' : 'next hop self;'} ${setup.hasAddPath ? 'add paths on;' : ''} ${setup.isUnnumbered ? 'extended next hop on;' : ''} };
  ipv6 { import all; export where proto = "own6"; next hop address ${v6(2)}; };
}
${
  setup.isReflector
    ? `protocol bgp second { local ${v4(2)} as 64512; neighbor ${v4(3)} as 64512; rr client; passive; ipv4 { import all; export where source = RTS_BGP; }; }`
    : ''
}`;
    const file = exchange.write('bird.conf', config);
    return exchange.start('peer', ['bird', '-f', '-c', file, '-s', 'bird.ctl', '-P', 'bird.pid']);
  },
  routes: (exchange) => exchange.run('peer', 'birdc -s bird.ctl show route all'),
  refresh: (exchange) => void exchange.run('peer', 'birdc -s bird.ctl reload in cali'),
  shutdown: (exchange, message) => void exchange.run('peer', `birdc -s bird.ctl 'disable cali "${message}"'`),
};

const frr: ForeignSpeaker = {
  name: 'FRR',
  version: '8.4.4',
  package: 'frr',
  program: '/usr/lib/frr/bgpd',
  cannot: {
    'BFD, single hop': 'FRR’s BFD is a separate daemon, which needs zebra',
    'BFD, multihop': 'FRR’s BFD is a separate daemon, which needs zebra',
  },
  start(exchange, setup) {
    const neighbor = `neighbor ${setup.isUnnumbered ? linkLocal(1) : v4(1)}`;
    const client = `neighbor ${v4(3)}`;
    const config = `
frr defaults traditional
hostname peer
router bgp ${setup.localAs}
 bgp router-id ${v4(2)}
 no bgp ebgp-requires-policy
 no bgp network import-check
 ${setup.isRouteServerClient ? 'no bgp enforce-first-as' : ''}
 bgp graceful-restart
 bgp graceful-restart preserve-fw-state
 ${neighbor} remote-as ${setup.caliAs}
 ${neighbor} timers connect 1
 ${setup.isUnnumbered ? `${neighbor} interface eth0\n ${neighbor} capability extended-nexthop` : ''}
 ${setup.isPassive ? `${neighbor} passive` : ''}
 ${setup.password ? `${neighbor} password ${setup.password}` : ''}
 ${setup.hasGtsm ? `${neighbor} ttl-security hops 1` : ''}
 ${setup.isReflector ? `${client} remote-as 64512\n ${client} passive` : ''}
 address-family ipv4 unicast
  network ${announced4} route-map tag
  ${neighbor} activate
  ${setup.hasAddPath ? `${neighbor} addpath-tx-all-paths` : ''}
  ${setup.isReflector ? `${neighbor} route-reflector-client\n  ${client} activate\n  ${client} route-reflector-client` : ''}
 exit-address-family
 address-family ipv6 unicast
  network ${announced6}
  ${neighbor} activate
  ${neighbor} route-map six out
 exit-address-family
route-map six permit 10
 set ipv6 next-hop global ${v6(2)}
route-map tag permit 10
 set community 64512:1
 set extcommunity rt 64512:9
 set large-community 64512:2:3
line vty
`;
    const file = exchange.write('bgpd.conf', config);
    const common = `--vty_socket ${exchange.directory} -A 127.0.0.1 -P 0 -u frr -g frr`;
    // Only zebra can resolve the interface of a link-local address.
    const zserv = `${exchange.directory}/zserv`;
    const zebra = `/usr/lib/frr/zebra -d -i ${exchange.directory}/zebra.pid -z ${zserv} ${common}; `;
    const bgpd = `/usr/lib/frr/bgpd -n ${setup.isUnnumbered ? `-z ${zserv}` : '-Z'} -f ${file} -i bgpd.pid ${common}`;
    return exchange.start('peer', ['sh', '-c', `${setup.isUnnumbered ? zebra : ''}exec ${bgpd}`]);
  },
  routes: (exchange) =>
    exchange.run(
      'peer',
      `vtysh --vty_socket ${exchange.directory} -c 'show bgp ipv4 unicast json detail' -c 'show bgp ipv6 unicast json'`,
    ),
  refresh: (exchange) =>
    void exchange.run(
      'peer',
      `vtysh --vty_socket ${exchange.directory} -c 'clear bgp ipv4 unicast ${v4(1)} soft in'`,
    ),
  shutdown(exchange, message) {
    const commands = ['configure terminal', 'router bgp', `neighbor ${v4(1)} shutdown message ${message}`];
    exchange.run(
      'peer',
      `vtysh --vty_socket ${exchange.directory} ${commands.map((one) => `-c '${one}'`).join(' ')}`,
    );
  },
};

const gobgp: ForeignSpeaker = {
  name: 'GoBGP',
  version: '3.10.0',
  package: 'gobgpd',
  program: 'gobgpd',
  cannot: {
    'BFD, single hop': 'not implemented',
    'BFD, multihop': 'not implemented',
    'extended messages': 'not implemented before GoBGP 4.7',
    'route refresh, the speaker requests it':
      'GoBGP re-evaluates the routes that it has stored, and sends no request',
  },
  start(exchange, setup) {
    const config = `
[global.config]
  as = ${setup.localAs}
  router-id = "${v4(2)}"
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${setup.isUnnumbered ? `${linkLocal(1)}%eth0` : v4(1)}"
    peer-as = ${setup.caliAs}
    ${setup.password ? `auth-password = "${setup.password}"` : ''}
  [neighbors.timers.config]
    connect-retry = 1
    idle-hold-time-after-reset = 1
  [neighbors.transport.config]
    passive-mode = ${setup.isPassive ?? false}
    local-address = "${setup.isUnnumbered ? `${linkLocal(2)}%eth0` : v4(2)}"
  ${setup.hasGtsm ? '[neighbors.ttl-security.config]\n    enabled = true\n    ttl-min = 255' : ''}
  [neighbors.graceful-restart.config]
    enabled = true
    restart-time = 60
  ${setup.isReflector ? `[neighbors.route-reflector.config]\n    route-reflector-client = true\n    route-reflector-cluster-id = "${v4(2)}"` : ''}
  ${['ipv4-unicast', 'ipv6-unicast']
    .map(
      (family) => `[[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "${family}"
    [neighbors.afi-safis.mp-graceful-restart.config]
      enabled = true
    ${setup.hasAddPath ? '[neighbors.afi-safis.add-paths.config]\n      receive = true\n      send-max = 8' : ''}`,
    )
    .join('\n  ')}
${
  setup.isReflector
    ? `[[neighbors]]
  [neighbors.config]
    neighbor-address = "${v4(3)}"
    peer-as = 64512
  [neighbors.transport.config]
    passive-mode = true
  [neighbors.route-reflector.config]
    route-reflector-client = true
    route-reflector-cluster-id = "${v4(2)}"`
    : ''
}
`;
    const file = exchange.write('gobgpd.conf', config);
    const add4 = `gobgp global rib add ${announced4} nexthop ${setup.isUnnumbered ? v6(2) : v4(2)} community 64512:1 large-community 64512:2:3 rt 64512:9`;
    const add6 = `gobgp global rib add -a ipv6 ${announced6} nexthop ${v6(2)}`;
    const command = `gobgpd -f ${file} --api-hosts 127.0.0.1:50051 -l error --disable-stdlog & pid=$!; trap 'kill $pid' TERM; for i in 1 2 3 4 5 6 7 8 9; do sleep 0.3; ${add4} && ${add6} && break; done; wait $pid`;
    return exchange.start('peer', ['sh', '-c', command]);
  },
  routes: (exchange) => exchange.run('peer', 'gobgp global rib -j; gobgp global rib -a ipv6 -j'),
  refresh: (exchange) => void exchange.run('peer', `gobgp neighbor ${v4(1)} softresetin`),
  shutdown: (exchange, message) =>
    void exchange.run('peer', `gobgp neighbor ${v4(1)} shutdown --reason "${message}"`),
};

const openbgpd: ForeignSpeaker = {
  name: 'OpenBGPD',
  version: '7.7',
  package: 'openbgpd',
  program: '/usr/sbin/bgpd',
  cannot: {
    [unnumbered]: 'OpenBGPD 7.7 does not implement RFC 8950',
    'BFD, single hop': 'not implemented',
    'BFD, multihop': 'not implemented',
    'extended messages': 'not implemented in OpenBGPD 7.7',
    'TCP MD5': 'the portable OpenBGPD has no TCP MD5 on Linux',
    'TCP MD5, Cali connects': 'the portable OpenBGPD has no TCP MD5 on Linux',
    'graceful restart, Cali is the helper': 'OpenBGPD keeps no routes when it restarts, and is only a helper',
  },
  start(exchange, setup) {
    const config = `
AS ${setup.localAs}
router-id ${v4(2)}
fib-update no
socket "${exchange.directory}/bgpd.sock"
nexthop qualify via default
network ${announced4} set { community 64512:1, large-community 64512:2:3, ext-community rt 64512:9 }
network ${announced6}
neighbor ${v4(1)} {
  remote-as ${setup.caliAs}
  local-address ${v4(2)}
  announce IPv4 unicast
  announce IPv6 unicast
  announce refresh yes
  announce restart yes
  ${setup.isPassive ? 'passive' : ''}
  ${setup.isRouteServerClient ? 'enforce neighbor-as no' : ''}
  ${setup.hasGtsm ? 'ttl-security yes' : ''}
  ${setup.hasAddPath ? 'announce add-path recv yes\n  announce add-path send all' : ''}
  ${setup.isReflector ? 'route-reflector' : ''}
}
${setup.isReflector ? `neighbor ${v4(3)} {\n  remote-as 64512\n  passive\n  route-reflector\n}` : ''}
allow from any
allow to any
match to ${v4(1)} inet set nexthop ${v4(2)}
match to ${v4(1)} inet6 set nexthop ${v6(2)}
`;
    const file = exchange.write('openbgpd.conf', config);
    return exchange.start('peer', [
      'sh',
      '-c',
      `mkdir -p /run/openbgpd; chmod 600 ${file}; exec /usr/sbin/bgpd -d -f ${file}`,
    ]);
  },
  routes: (exchange) => exchange.run('peer', `bgpctl -s ${exchange.directory}/bgpd.sock show rib detail`),
  refresh: (exchange) =>
    void exchange.run('peer', `bgpctl -s ${exchange.directory}/bgpd.sock neighbor ${v4(1)} refresh`),
  shutdown: (exchange, message) =>
    void exchange.run(
      'peer',
      `bgpctl -s ${exchange.directory}/bgpd.sock neighbor ${v4(1)} down "${message}"`,
    ),
};

const exabgp: ForeignSpeaker = {
  name: 'ExaBGP',
  version: '4.2.21',
  package: 'exabgp',
  program: 'exabgp',
  cannot: {
    [unnumbered]: 'ExaBGP accepts no link-local address with its interface',
    'BFD, single hop': 'not implemented',
    'BFD, multihop': 'not implemented',
    'route reflection, Cali is a client': 'ExaBGP re-advertises no routes',
    'graceful restart, Cali is the helper':
      'ExaBGP ends its sessions with NOTIFICATION and keeps no forwarding state',
    'graceful restart, the speaker is the helper': 'ExaBGP has no RIB',
    'route refresh, the speaker requests it': 'ExaBGP answers requests and sends none',
    'shutdown message': 'ExaBGP 4.2 has no command to send one',
  },
  start(exchange, setup) {
    const config = `
process report { run /bin/sh -c "cat >> ${exchange.directory}/exabgp.json"; encoder json; }
neighbor ${v4(1)} {
  router-id ${v4(2)};
  local-address ${v4(2)};
  local-as ${setup.localAs};
  peer-as ${setup.caliAs};
  ${setup.isPassive ? 'passive true;\n  listen 179;' : ''}
  ${setup.password ? `md5-password "${setup.password}";` : ''}
  ${setup.hasGtsm ? 'outgoing-ttl 255;\n  incoming-ttl 255;' : ''}
  api { processes [ report ]; receive { parsed; update; } }
  capability { route-refresh; extended-message enable; ${setup.hasAddPath ? 'add-path send/receive;' : ''} }
  family { ipv4 unicast; ipv6 unicast; }
  static {
    route ${announced4} next-hop ${v4(2)} ${setup.hasAddPath ? 'path-information 0.0.0.1 ' : ''}community [ 64512:1 ] large-community [ 64512:2:3 ] extended-community [ target:64512:9 ];
    route ${announced6} next-hop ${v6(2)}${setup.hasAddPath ? ' path-information 0.0.0.1' : ''};
  }
}
`;
    const file = exchange.write('exabgp.conf', config);
    const environment = ['exabgp.daemon.user=root', 'exabgp.daemon.drop=false', 'exabgp.log.level=ERR'];
    if (setup.isPassive) environment.push(`exabgp.tcp.bind=${v4(2)}`, 'exabgp.tcp.port=179');
    return exchange.start('peer', ['env', ...environment, 'exabgp', file]);
  },
  routes: (exchange) => exchange.run('peer', 'cat exabgp.json'),
  refresh: () => {},
};

export const speakers: readonly ForeignSpeaker[] = [bird, frr, gobgp, openbgpd, exabgp];
