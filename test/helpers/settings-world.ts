/**
 * Two speakers on loopback, to test changes of settings. X is configured from BGPPeers and a BGPConfiguration, and
 * dials Y. A scripted client Z of X announces a route.
 */
import type { DesiredSpeaker, PeerConfig, PeerStatus } from '../../bgp/peer/config.ts';
import { type PathView, viewReceived } from '../../bgp/routes-view.ts';
import { Speaker } from '../../bgp/speaker.ts';
import { tcpTransport } from '../../bgp/transport/tcp.ts';
import { Framer } from '../../bgp/wire/framer.ts';
import { MessageType } from '../../bgp/wire/iana.ts';
import { decodeMessage } from '../../bgp/wire/message.ts';
import type { OpenMessage } from '../../bgp/wire/open.ts';
import { type BGPConfiguration, bgpConfigurationKind } from '../../datastore/schema/bgp-configuration.ts';
import { bgpFilterKind } from '../../datastore/schema/bgp-filter.ts';
import { bgpPeerKind } from '../../datastore/schema/bgp-peer.ts';
import { ipPoolKind } from '../../datastore/schema/ip-pool.ts';
import { desiredSpeaker } from '../../felix/calc/bgp/speaker.ts';
import { silentLog } from '../../lib/log.ts';
import { systemTime } from '../../lib/time.ts';
import type { NodeInfo } from '../../model/node.ts';
import { announcement, ScriptedPeer } from './scripted-peer.ts';

export const [X, Y, Z] = ['127.0.0.21', '127.0.0.20', '127.0.0.23'] as const;
export const AS = 64512;
export const OWN_ROUTE = '10.244.1.0/26';
export const Z_ROUTE = '10.244.3.0/26';
export const Z_NEXT_HOP = '10.0.0.23';
const Y_ROUTES = ['10.244.9.0/26', '10.244.9.64/26', '10.244.9.128/26'];

const apiVersion = 'projectcalico.org/v3';

/** The settings of X. */
export interface Settings {
  /** Spec of the BGPPeer for Y; undefined: X and Y peer through the node-to-node mesh. */
  readonly peer?: object;
  /** Spec of BGPConfiguration default. */
  readonly configuration?: object;
  readonly isReflector?: boolean;
  /** False: Z does not connect. */
  readonly hasZ?: boolean;
}

/** The settings of Y: its port, and how it differs from a passive internal peer. */
export interface Other {
  readonly port: number;
  readonly change: Partial<PeerConfig>;
}

/** What Y has seen of X. */
export interface Seen {
  readonly open: OpenMessage | undefined;
  readonly keepalives: number;
  readonly routes: ReadonlyMap<string, PathView>;
  /** Source address of X's connection. */
  readonly from: string;
  readonly y: PeerStatus;
}

export class SettingsWorld {
  readonly #port: number;
  readonly #x: Speaker;
  #y: Speaker | undefined;
  #other: Other | undefined;
  #z: ScriptedPeer | undefined;
  #open: OpenMessage | undefined;
  #keepalives = 0;

  private constructor(port: number) {
    this.#port = port;
    // Scripted peers connect to 127.0.0.1.
    this.#x = speakerAt(X, port, ['127.0.0.1']);
  }

  static async start(port: number, settings: Settings, other: Other): Promise<SettingsWorld> {
    const world = new SettingsWorld(port);
    await world.startOther(other);
    await world.#x.listen();
    world.configure(settings);
    if (settings.hasZ ?? true) await world.#connectZ();
    return world;
  }

  async #connectZ(): Promise<void> {
    this.#z = await ScriptedPeer.connect(this.#port, Z);
    this.#z.send(announcement([Z_ROUTE], { nextHop: Z_NEXT_HOP }));
  }

  /** Applies new settings to X. */
  configure(settings: Settings): void {
    this.#x.setDesired(desiredOf(this.#port, settings));
  }

  async startOther(other: Other): Promise<void> {
    const y = speakerAt(Y, other.port);
    this.#open = undefined;
    this.#keepalives = 0;
    this.#y = y;
    this.#other = other;
    y.observe({
      message: (_, direction, bytes) => {
        if (direction === 'received') this.#note(bytes);
      },
      up() {},
      down() {},
    });
    await y.listen();
    this.configureOther(other);
  }

  /** Applies new settings to Y. */
  configureOther({ change }: Other): void {
    this.#y?.setDesired({
      peers: [{ ...otherSide(this.#port), ...change }],
      originated: Y_ROUTES.map((prefix) => ({ prefix })),
    });
  }

  /** Stops Y as in a restart, without NOTIFICATION. */
  async stopOther(): Promise<void> {
    await this.#y?.close(true);
    this.#y = undefined;
  }

  /** Returns what `calictl bgp neighbor` shows at X for Y. */
  status(): PeerStatus | undefined {
    return this.#x.status().find(({ config, isRetiring }) => config.address === Y && !isRetiring);
  }

  get isUp(): boolean {
    return this.status()?.state === 'Established' && this.#peer()?.negotiated !== undefined;
  }

  seen(): Seen {
    const peer = this.#peer()!;
    const routes = [...viewReceived(this.#y!.ribs[4], peer)].map((path) => [path.prefix, path] as const);
    return {
      open: this.#open,
      keepalives: this.#keepalives,
      routes: new Map(routes),
      from: peer.config.address,
      y: peer.status(),
    };
  }

  async close(): Promise<void> {
    this.#z?.socket.destroy();
    await this.stopOther();
    await this.#x.close(false);
  }

  #peer() {
    return this.#y?.peer(this.#other?.change.address ?? X);
  }

  #note(bytes: Uint8Array): void {
    const framer = new Framer();
    framer.allowExtended();
    framer.push(bytes, (frame) => {
      if (frame.type === MessageType.KEEPALIVE) this.#keepalives++;
      const context = { isFourOctetAs: true, isIbgp: true };
      const message = frame.type === MessageType.OPEN ? decodeMessage(frame, context) : undefined;
      if (message?.type === 'open') this.#open = message;
      return true;
    });
  }
}

/** Y's configuration of its peer X. */
function otherSide(port: number): PeerConfig {
  return {
    address: X,
    port,
    asNumber: AS,
    localAs: AS,
    localAddress: Y,
    families: [4],
    isPassive: true,
    peerType: 'global',
    name: 'x',
    holdTimeSeconds: 90,
    connectRetrySeconds: 1,
    restartTimeSeconds: 60,
    allowedLocalAs: 3,
  };
}

function speakerAt(address: string, port: number, more: readonly string[] = []): Speaker {
  return new Speaker(
    {
      identifier: address.replace('127', '10'),
      addresses: { 4: address },
      port,
      listenAddresses: [address, ...more],
      deferralSeconds: 3,
      unreachableSeconds: 1,
      hasKernel: false,
    },
    { clock: systemTime, transport: tcpTransport, log: silentLog, events: { changed() {} } },
  );
}

function node(name: string, address: string, clusterId?: string): NodeInfo {
  return {
    name,
    labels: {},
    addresses: { 4: { address, length: 8 } },
    asNumber: undefined,
    clusterId,
    tunnels: {},
  };
}

function desiredOf(port: number, { peer, configuration, isReflector }: Settings): DesiredSpeaker {
  const isMesh = peer === undefined;
  const spec = { connectRetryTime: '1s', ...(isMesh ? { listenPort: port } : {}), ...configuration };
  const configurations: BGPConfiguration[] = [
    bgpConfigurationKind.schema.parse({
      apiVersion,
      kind: 'BGPConfiguration',
      metadata: { name: 'default' },
      spec,
    }),
  ];
  const bgpPeer = (name: string, of: object) =>
    bgpPeerKind.schema.parse({ apiVersion, kind: 'BGPPeer', metadata: { name }, spec: of });
  const filter = { exportV4: [{ action: 'Reject' }] };
  return desiredSpeaker({
    node: 'x',
    nodes: [
      node('x', X, isReflector ? '1.1.1.1' : undefined),
      ...(isMesh ? [node('y', Y), node('z', Z)] : []),
    ],
    configurations,
    peers: isMesh
      ? []
      : [
          bgpPeer('y', { peerIP: `${Y}:${port}`, asNumber: AS, ...peer }),
          bgpPeer('z', { peerIP: `${Z}:${port}`, asNumber: AS, routeReflectorClient: false }),
        ],
    pools: [
      ipPoolKind.schema.parse({
        apiVersion,
        kind: 'IPPool',
        metadata: { name: 'pods' },
        spec: { cidr: '10.244.0.0/16' },
      }),
    ],
    filters: [
      bgpFilterKind.schema.parse({ apiVersion, kind: 'BGPFilter', metadata: { name: 'none' }, spec: filter }),
    ],
    secrets: (_, key) => ({ state: 'known', value: `password ${key}` }),
    originated: [{ prefix: OWN_ROUTE }],
    holdTimeSeconds: 90,
    restartTimeSeconds: 120,
  });
}
