/**
 * Sessions use current settings. Each field of BGPPeer and BGPConfiguration that affects a session is changed while the
 * session is up, then the other side restarts. The new session must have the new value, in the status and on the wire.
 * A field of the schema that is missing in the tables below fails the test.
 */
import { createSocket } from 'node:dgram';
import net from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { decodeBfd } from '../../bgp/bfd/packet.ts';
import type { PeerConfig, PeerStatus } from '../../bgp/peer/config.ts';
import { BgpRole } from '../../bgp/wire/iana.ts';
import { bgpConfigurationKind } from '../../datastore/schema/bgp-configuration.ts';
import { bgpPeerKind } from '../../datastore/schema/bgp-peer.ts';
import { until } from '../helpers/scripted-peer.ts';
import {
  AS,
  OWN_ROUTE,
  type Seen,
  SettingsWorld,
  X,
  Y,
  Z_NEXT_HOP,
  Z_ROUTE,
} from '../helpers/settings-world.ts';

interface Case {
  /** The field's value before and after; undefined omits it. */
  readonly values: readonly [unknown, unknown];
  /** Other fields of the same object. */
  readonly fixed?: object;
  readonly isReflector?: boolean;
  /** Settings of the other side before and after. */
  readonly other?: readonly [Partial<PeerConfig>, Partial<PeerConfig>];
  /** The other side gets the new value too while the session is up, because both sides need the same key. */
  readonly isShared?: boolean;
  /** The other side restarts on another port. */
  readonly isMoved?: boolean;
  /** The new value keeps the session down: the test expects that it does not return. */
  readonly isDown?: boolean;
  /** Reads the status, and the values to expect before and after. */
  readonly status?: readonly [(status: PeerStatus) => unknown, unknown, unknown];
  /** Reads what the other side sees, and the values to expect before and after. */
  readonly wire?: readonly [(seen: Seen) => unknown, unknown, unknown];
}

const external = 65001;
const toExternal = {
  fixed: { asNumber: external },
  other: [{ localAs: external }, { localAs: external }],
} as const;
const bfd = { receiveInterval: '50ms', transmitInterval: '50ms', multiplier: 7 };
const bfdConfig = { receiveIntervalMs: 50, transmitIntervalMs: 50, multiplier: 7, isMultihop: true };
const key = (name: string) => ({ secretKeyRef: { name: 'bgp', key: name } });
const passwords = [{ password: 'password a' }, { password: 'password b' }] as const;
const restartTime = ({ open }: Seen) => open?.capabilities.gracefulRestart?.restartTimeSeconds;
const nextHop = ({ routes }: Seen) => routes.get(Z_ROUTE)?.attributes.nextHop;
const communities = ({ routes }: Seen) => routes.get(OWN_ROUTE)?.attributes.communities;
const priority = (metric: number) => 2 ** 31 - 1 - metric;

/** A case, or the reason why the field does not affect a session. */
type Row = Case | string;

const peerFields: Record<string, Row> = {
  node: 'chooses the peer (unit/felix/calc)',
  nodeSelector: 'chooses the peer (unit/felix/calc)',
  peerSelector: 'chooses the peer (unit/felix/calc, reflector)',
  localWorkloadSelector: 'chooses the peer (unit/felix/calc)',
  reversePeering: 'chooses the peer (unit/felix/calc)',
  peerCIDR: 'chooses the peer (speaker)',
  reachableBy: 'a route of the node (unit/felix/calc)',
  peerIP: {
    values: [undefined, 'moved'],
    isMoved: true,
    status: [({ config }) => config.port > 0, true, true],
  },
  asNumber: {
    values: [AS, external],
    other: [{}, { localAs: external }],
    status: [({ config }) => config.asNumber, AS, external],
    wire: [({ routes }) => routes.get(OWN_ROUTE)?.attributes.asPath.length, 0, 1],
  },
  localASNumber: {
    values: [undefined, 64999],
    fixed: toExternal.fixed,
    other: [{ localAs: external }, { localAs: external, asNumber: 64999 }],
    status: [({ config }) => config.localAs, AS, 64999],
    wire: [({ open }) => open?.asNumber, AS, 64999],
  },
  keepOriginalNextHop: {
    values: [false, true],
    ...toExternal,
    status: [({ config }) => config.nextHopMode, 'Auto', 'Keep'],
    wire: [nextHop, X, Z_NEXT_HOP],
  },
  nextHopMode: {
    values: ['Self', 'Keep'],
    ...toExternal,
    status: [({ config }) => config.nextHopMode, 'Self', 'Keep'],
    wire: [nextHop, X, Z_NEXT_HOP],
  },
  password: {
    values: [key('a'), key('b')],
    other: passwords,
    isShared: true,
    wire: [({ y }) => y.state, 'Established', 'Established'],
  },
  sourceAddress: {
    values: ['UseNodeIP', 'None'],
    other: [{}, { address: '127.0.0.1' }],
    status: [({ config }) => config.localAddress, X, undefined],
    wire: [({ from }) => from, X, '127.0.0.1'],
  },
  maxRestartTime: {
    values: ['30s', '50s'],
    status: [({ config }) => config.restartTimeSeconds, 30, 50],
    wire: [restartTime, 30, 50],
  },
  keepaliveTime: {
    values: ['20s', '1s'],
    status: [({ keepaliveSeconds }) => keepaliveSeconds, 20, 1],
    wire: [({ keepalives }) => keepalives > 2, false, true],
  },
  numAllowedLocalASNumbers: {
    values: [0, 1],
    ...toExternal,
    other: [
      { localAs: external, exportPolicy: addsOurAs() },
      { localAs: external, exportPolicy: addsOurAs() },
    ],
    status: [isLoop, true, false],
  },
  passive: {
    values: [undefined, true],
    other: [{}, { isPassive: false }],
    status: [({ config }) => config.isPassive, false, true],
  },
  ttlSecurity: {
    values: [undefined, 1],
    other: [{}, { ttlSecurityHops: 1 }],
    status: [({ config }) => config.ttlSecurityHops, undefined, 1],
    wire: [({ y }) => [y.state, y.config.ttlSecurityHops], ['Established', undefined], ['Established', 1]],
  },
  filters: {
    values: [[], ['none']],
    status: [({ prefixesSent }) => prefixesSent > 0, true, false],
    wire: [({ routes }) => routes.size > 0, true, false],
  },
  holdTime: {
    values: ['90s', '60s'],
    status: [({ holdTimeSeconds }) => holdTimeSeconds, 90, 60],
    wire: [({ open }) => open?.holdTimeSeconds, 90, 60],
  },
  connectRetryTime: { values: ['2s', '1s'], status: [({ config }) => config.connectRetrySeconds, 2, 1] },
  longLivedRestartTime: {
    values: [undefined, '60s'],
    status: [({ config }) => config.longLivedSeconds, undefined, 60],
    wire: [({ open }) => open?.capabilities.longLived.map(({ staleSeconds }) => staleSeconds), [], [60]],
  },
  bfd: { values: [undefined, bfd], status: [({ config }) => config.bfd, undefined, bfdConfig] },
  addressFamilies: {
    values: [['IPv4'], ['IPv4', 'IPv6']],
    other: [{}, { families: [4, 6] }],
    status: [({ families }) => families.map(({ family }) => family), [4], [4, 6]],
    wire: [({ open }) => open?.capabilities.families, [4], [4, 6]],
  },
  addPaths: {
    values: ['None', 'Both'],
    other: [{}, { canReceiveAddPath: true }],
    status: [({ capabilities }) => capabilities.includes('add-path send (IPv4)'), false, true],
    wire: [({ open }) => open?.capabilities.addPath, [], [{ family: 4, canSend: true, canReceive: true }]],
  },
  extendedNextHop: {
    values: [false, true],
    other: [{}, { hasExtendedNextHop: true }],
    status: [({ capabilities }) => capabilities.includes('extended next hop'), false, true],
    wire: [({ open }) => open?.capabilities.hasExtendedNextHop, false, true],
  },
  maxPrefixes: {
    values: [{ limit: 1 }, { limit: 5 }],
    status: [({ prefixesReceived }) => prefixesReceived, 1, 3],
  },
  role: {
    values: ['Provider', 'Peer'],
    ...toExternal,
    other: [
      { localAs: external, role: BgpRole.CUSTOMER },
      { localAs: external, role: BgpRole.PEER },
    ],
    status: [({ config }) => config.role, BgpRole.PROVIDER, BgpRole.PEER],
    wire: [({ open }) => open?.capabilities.roles, [BgpRole.PROVIDER], [BgpRole.PEER]],
  },
  roleStrict: {
    values: [false, true],
    fixed: { asNumber: external, role: 'Peer' },
    // The other side has no role, so the new session is refused (RFC 9234 section 4.2).
    other: [{ localAs: external }, { localAs: external }],
    isDown: true,
    status: [({ lastError }) => /no BGP role/.test(lastError ?? ''), false, true],
  },
  shutdownMessage: {
    values: [undefined, 'maintenance'],
    other: [{}, { isPassive: false }],
    isDown: true,
    status: [({ lastError }) => lastError, undefined, 'administratively shut down: maintenance'],
    wire: [({ y }) => /maintenance/.test(y.lastNotification ?? ''), false, true],
  },
  routeReflectorClient: {
    values: [false, true],
    isReflector: true,
    status: [({ config }) => config.isClient, false, true],
    wire: [({ routes }) => routes.get(Z_ROUTE)?.attributes.clusterList, undefined, ['1.1.1.1']],
  },
};

const configurationFields: Record<string, Row> = {
  logSeverityScreen: 'no part of BGP',
  nodeToNodeMeshEnabled: 'chooses the peers (unit/felix/calc, reflector)',
  asNumber: {
    values: [AS, 64600],
    other: [{}, { localAs: 64600, asNumber: 64600 }],
    status: [({ config }) => [config.localAs, config.asNumber], [AS, AS], [64600, 64600]],
    wire: [({ open }) => open?.asNumber, AS, 64600],
  },
  serviceClusterIPs: 'chooses the routes (unit/felix/services)',
  serviceExternalIPs: 'chooses the routes (unit/felix/services)',
  serviceLoadBalancerIPs: 'chooses the routes (unit/felix/services)',
  serviceLoadBalancerAggregation: 'chooses the routes (unit/felix/services)',
  communities: {
    values: [[{ name: 'pods', value: '64512:1' }], [{ name: 'pods', value: '64512:2' }]],
    fixed: { prefixAdvertisements: [{ cidr: '10.244.0.0/16', communities: ['pods'] }] },
    wire: [communities, [AS * 65536 + 1], [AS * 65536 + 2]],
  },
  prefixAdvertisements: {
    values: [undefined, [{ cidr: '10.244.0.0/16', communities: ['64512:3'] }]],
    wire: [communities, undefined, [AS * 65536 + 3]],
  },
  listenPort: {
    values: [undefined, 'moved'],
    isMoved: true,
    status: [({ config }) => config.port > 0, true, true],
  },
  nodeMeshPassword: {
    values: [key('a'), key('b')],
    other: passwords,
    isShared: true,
    wire: [({ y }) => y.state, 'Established', 'Established'],
  },
  nodeMeshMaxRestartTime: {
    values: ['30s', '50s'],
    status: [({ config }) => config.restartTimeSeconds, 30, 50],
    wire: [restartTime, 30, 50],
  },
  bindMode: 'a setting of the speaker, which starts again (unit/agent/speaker-host)',
  ignoredInterfaces: 'no part of BGP',
  localWorkloadPeeringIPV4: 'an address of pods’ links (unit/felix/calc)',
  localWorkloadPeeringIPV6: 'an address of pods’ links (unit/felix/calc)',
  programClusterRoutes: 'no part of BGP',
  ipv4NormalRoutePriority: {
    values: [1024, 2000],
    status: [({ config }) => config.localPref, priority(1024), priority(2000)],
    wire: [({ routes }) => routes.get(OWN_ROUTE)?.attributes.localPref, priority(1024), priority(2000)],
  },
  ipv6NormalRoutePriority: 'as ipv4NormalRoutePriority, on a session over IPv6 (unit/felix/calc)',
  holdTime: {
    values: ['90s', '60s'],
    status: [({ holdTimeSeconds }) => holdTimeSeconds, 90, 60],
    wire: [({ open }) => open?.holdTimeSeconds, 90, 60],
  },
  connectRetryTime: { values: ['2s', '1s'], status: [({ config }) => config.connectRetrySeconds, 2, 1] },
  bfd: { values: [undefined, bfd], status: [({ config }) => config.bfd, undefined, bfdConfig] },
  bmpStation: 'no part of a session (speaker)',
  gracefulShutdown: {
    values: [false, true],
    wire: [communities, undefined, [0xffff0000]],
  },
  acceptDefaultRoute: 'decides about the kernel (unit/felix/kernel-import)',
  routerID: 'a setting of the speaker, which starts again (unit/agent/reflector)',
  routeReflectorClusterID: 'a setting of `--role reflector` (unit/agent/reflector)',
  listenAddresses: 'a setting of the speaker, which starts again (unit/agent/reflector)',
};

describe('settings that change while a session is up', () => {
  it('have a row in the tables below for each field of the schemas', () => {
    const fieldsOf = ({ schema }: { schema: { shape: { spec: object } } }) =>
      shapeOf(schema.shape.spec).sort();
    expect(Object.keys(peerFields).sort()).toEqual(fieldsOf(bgpPeerKind));
    expect(Object.keys(configurationFields).sort()).toEqual(fieldsOf(bgpConfigurationKind));
  });

  const rows = [
    ...Object.entries(peerFields).map(([field, row]) => ['BGPPeer', field, row] as const),
    ...Object.entries(configurationFields).map(([field, row]) => ['BGPConfiguration', field, row] as const),
  ].flatMap(([kind, field, row]) => (typeof row === 'string' ? [] : [[kind, field, row] as const]));

  it.concurrent.each(rows)(
    '%s %s has its new value after the other side restarts',
    async (kind, field, row) => {
      const [port, moved] = [await freePort(), await freePort()];
      const settings = (index: 0 | 1) => {
        const value = row.values[index];
        const [actual] = [value === 'moved' ? (kind === 'BGPPeer' ? `${Y}:${moved}` : moved) : value];
        const spec = { ...row.fixed, ...(actual === undefined ? {} : { [field]: actual }) };
        return {
          ...(kind === 'BGPPeer' ? { peer: spec } : { configuration: spec }),
          isReflector: row.isReflector ?? false,
          hasZ: field !== 'nodeMeshPassword',
        };
      };
      const other = (index: 0 | 1) => ({
        port: index === 1 && row.isMoved ? moved : port,
        change: row.other?.[index] ?? {},
      });
      const world = await SettingsWorld.start(port, settings(0), other(0));
      const shown = async (index: 1 | 2) => {
        for (const [what, look] of [
          ['status', () => row.status?.[0](world.status()!)],
          ['wire', () => row.wire?.[0](world.seen())],
        ] as const) {
          const expected = row[what]?.[index];
          await until(() => isDeepStrictEqual(look(), expected), 20_000).catch(() => undefined);
          expect(look(), what).toEqual(expected);
        }
      };
      try {
        await until(() => world.isUp, 20_000);
        await shown(1);
        world.configure(settings(1));
        if (row.isShared) world.configureOther(other(1));
        await world.stopOther();
        await world.startOther(other(1));
        if (!row.isDown) await until(() => world.isUp, 20_000);
        await shown(2);
        expect(world.isUp).toBe(!row.isDown);
        if (row.isMoved) expect(world.status()!.config.port).toBe(moved);
        if (field === 'bfd') expect((await packet())!.multiplier).toBe(bfd.multiplier);
      } finally {
        await world.close();
      }
    },
  );
});

/** Returns the keys of an object schema, unwrapping defaults. */
function shapeOf(schema: object): string[] {
  if ('shape' in schema && typeof schema.shape === 'object' && schema.shape) return Object.keys(schema.shape);
  if ('unwrap' in schema && typeof schema.unwrap === 'function') return shapeOf(schema.unwrap());
  throw new Error('no object schema');
}

/** Policy that makes Y announce routes with X's AS in their path. */
function addsOurAs(): PeerConfig['exportPolicy'] {
  return {
    key: 'adds our AS',
    apply: ({ attributes }) => ({
      isAccepted: true,
      attributes: { ...attributes, asPath: [{ type: 2, asNumbers: [AS] }] },
    }),
  };
}

function isLoop({ families }: PeerStatus): boolean {
  return families.some(({ refused }) => refused.some(({ reason }) => reason.startsWith('AS loop')));
}

/** Returns the next BFD packet that X sends to Y (RFC 5883). */
async function packet() {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  try {
    return await new Promise<ReturnType<typeof decodeBfd>>((resolve) => {
      socket.on('message', (bytes) => resolve(decodeBfd(bytes)));
      socket.bind(4784, Y);
    });
  } finally {
    socket.close();
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}
