/** A BGP peer that a test drives, over a real TCP connection. */
import net, { type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerConfig } from '../../bgp/peer/config.ts';
import { Speaker } from '../../bgp/speaker.ts';
import { native } from '../../bgp/transport/native.ts';
import type { SecurityOptions } from '../../bgp/transport/port.ts';
import { descriptorOf, dialSocket, setConnectionKey } from '../../bgp/transport/socket-options.ts';
import { tcpTransport } from '../../bgp/transport/tcp.ts';
import type { PathAttributes } from '../../bgp/wire/attributes.ts';
import { type Capabilities, noCapabilities } from '../../bgp/wire/capabilities.ts';
import { Framer } from '../../bgp/wire/framer.ts';
import { decodeMessage, encodeMessage, type Message, type OutgoingMessage } from '../../bgp/wire/message.ts';
import type { Nlri } from '../../bgp/wire/nlri.ts';
import type { NotificationMessage } from '../../bgp/wire/notification.ts';
import type { OpenMessage } from '../../bgp/wire/open.ts';
import { type Log, silentLog } from '../../lib/log.ts';
import { systemTime, type Time } from '../../lib/time.ts';

const IPPROTO_TCP = 6;
/** The kernel closes a socket in repair mode without sending a segment. */
const TCP_REPAIR = 19;
const context = { isFourOctetAs: true, isIbgp: true };
const LOCAL_AS = 64512;

export const peerAttributes: PathAttributes = {
  origin: 0,
  asPath: [],
  nextHop: '10.254.0.1',
  localPref: 100,
};

/** An UPDATE that announces these prefixes. */
export function announcement(
  prefixes: readonly string[],
  change: Partial<PathAttributes> = {},
): OutgoingMessage {
  const nlri = prefixes.map((prefix): Nlri => ({ prefix }));
  const attributes = { ...peerAttributes, ...change };
  return { type: 'update', withdrawn: [], nlri, reach: undefined, unreach: undefined, attributes };
}

export function withdrawal(prefixes: readonly string[]): OutgoingMessage {
  const withdrawn = prefixes.map((prefix): Nlri => ({ prefix }));
  return { type: 'update', withdrawn, nlri: [], reach: undefined, unreach: undefined, attributes: undefined };
}

export const endOfRib4: OutgoingMessage = {
  type: 'update',
  withdrawn: [],
  nlri: [],
  reach: undefined,
  unreach: undefined,
  attributes: undefined,
};

export class ScriptedPeer {
  readonly socket: Socket;
  readonly messages: Message[] = [];
  /** The routes received and not withdrawn, by prefix. */
  readonly table = new Map<string, PathAttributes>();
  readonly #framer = new Framer();
  isUp = false;

  private constructor(port: number, address: string, security?: Partial<SecurityOptions>, isIbgp = true) {
    const target = { host: '127.0.0.1', port, localAddress: address };
    this.socket = security ? secured(security).connect(target) : net.connect(target);
    this.socket.on('error', () => undefined);
    this.#framer.allowExtended();
    this.socket.on('data', (chunk) => {
      this.#framer.push(chunk, (frame) => {
        this.#note(decodeMessage(frame, { ...context, isIbgp }));
        return true;
      });
    });
  }

  /** Connects once from a loopback address and sends OPEN and KEEPALIVE. */
  static open(
    port: number,
    address: string,
    capabilities: Partial<Capabilities> = {},
    change: Partial<OpenMessage> = {},
    security?: Partial<SecurityOptions>,
  ): ScriptedPeer {
    const peer = new ScriptedPeer(port, address, security, (change.asNumber ?? LOCAL_AS) === LOCAL_AS);
    peer.send({
      type: 'open',
      asNumber: LOCAL_AS,
      holdTimeSeconds: 90,
      identifier: address.replace('127', '10'),
      capabilities: {
        ...noCapabilities,
        families: [4],
        hasRouteRefresh: true,
        fourOctetAs: change.asNumber ?? LOCAL_AS,
        ...capabilities,
      },
      ...change,
    });
    peer.send({ type: 'keepalive' });
    return peer;
  }

  /** Connects from a loopback address, repeatedly until the session is established. */
  static async connect(
    port: number,
    address: string,
    capabilities: Partial<Capabilities> = {},
    change: Partial<OpenMessage> = {},
  ): Promise<ScriptedPeer> {
    for (let tries = 0; tries < 400; tries++) {
      const peer = ScriptedPeer.open(port, address, capabilities, change);
      const isUp = await Promise.race([
        new Promise<boolean>((resolve) => peer.socket.once('close', () => resolve(false))),
        until(() => peer.isUp || peer.last('notification') !== undefined, 5000).then(() => peer.isUp),
      ]);
      if (isUp) return peer;
      peer.socket.destroy();
      await sleep(10);
    }
    throw new Error(`no session with ${address}`);
  }

  /** Connects, expects to be refused, and returns the NOTIFICATION. */
  static async refused(port: number, address: string): Promise<NotificationMessage> {
    const peer = new ScriptedPeer(port, address);
    await until(() => peer.last('notification') !== undefined);
    peer.socket.destroy();
    return peer.last('notification')!;
  }

  send(message: OutgoingMessage): void {
    this.socket.write(encodeMessage(message, context));
  }

  /** Sends a message by its type and the hex of its body. */
  sendBytes(type: number, body: string): Buffer {
    const bytes = Buffer.from(body.replace(/\s+/g, ''), 'hex');
    const header = Buffer.alloc(19, 0xff);
    header.writeUInt16BE(19 + bytes.length, 16);
    header[18] = type;
    const message = Buffer.concat([header, bytes]);
    this.socket.write(message);
    return message;
  }

  /**
   * Closes the connection without a segment, like a machine that reboots. The kernel answers later segments with RST.
   */
  vanish(): void {
    const fd = descriptorOf(this.socket);
    native()!.setOption(fd, IPPROTO_TCP, TCP_REPAIR, Uint8Array.of(1, 0, 0, 0));
    this.socket.destroy();
  }

  /** Cuts the connection silently: a TCP MD5 key on this side only makes each side drop the other's segments. */
  mute(): void {
    setConnectionKey(this.socket, '127.0.0.1', 'mute');
  }

  last<T extends Message['type']>(type: T): (Message & { type: T }) | undefined {
    return this.messages.findLast((message): message is Message & { type: T } => message.type === type);
  }

  count(type: Message['type']): number {
    return this.messages.filter((message) => message.type === type).length;
  }

  #note(message: Message): void {
    this.messages.push(message);
    if (message.type === 'keepalive') this.isUp = true;
    if (message.type !== 'update') return;
    for (const { prefix } of message.withdrawn) this.table.delete(prefix);
    for (const { prefix } of message.nlri) this.table.set(prefix, message.attributes!);
  }
}

/** A socket with these security options: a TCP MD5 key, and TTL 255 for GTSM. */
function secured({ password, ttlSecurityHops }: Partial<SecurityOptions>): Socket {
  const fd = dialSocket('127.0.0.1', { password, ttlSecurityHops })!;
  const options = { fd, manualStart: true, readable: true, writable: true };
  return new net.Socket(options);
}

/** Waits until the check is true. Rejects after the limit. */
export async function until(check: () => boolean, limitMs = 60_000): Promise<void> {
  for (const end = performance.now() + limitMs; !check(); await sleep(5))
    if (performance.now() > end)
      throw new Error(`timed out after ${limitMs} ms, expected: ${check.toString()}`);
}

export interface ReflectorOptions {
  readonly clock?: Time;
  /** Prefix from which dynamic peers are accepted as clients. */
  readonly range?: string;
  readonly deferralSeconds?: number;
  readonly log?: Log;
}

/** Starts a reflector on a free loopback port with these addresses as clients. */
export async function startReflector(
  addresses: readonly string[],
  change: (address: string) => Partial<PeerConfig> = () => ({}),
  { clock = systemTime, range, deferralSeconds = 3, log = silentLog }: ReflectorOptions = {},
) {
  const port = await freePort();
  const configOf = (address: string): PeerConfig => ({
    address,
    port,
    asNumber: 64512,
    localAs: 64512,
    localAddress: undefined,
    families: [4],
    isPassive: true,
    peerType: 'global',
    name: address,
    holdTimeSeconds: 90,
    restartTimeSeconds: 5,
    allowedLocalAs: 0,
    isClient: true,
    clusterId: '1.1.1.1',
    ...change(address),
  });
  const speaker = new Speaker(
    {
      identifier: '10.255.0.1',
      addresses: { 4: '10.255.0.1' },
      port,
      listenAddresses: ['127.0.0.1'],
      deferralSeconds,
      unreachableSeconds: 1,
      hasKernel: false,
    },
    { clock, transport: tcpTransport, log, events: { changed() {} } },
  );
  const template = { ...configOf(''), peerType: 'dynamic' as const };
  const dynamic = range === undefined ? [] : [{ prefix: range, template }];
  speaker.setDesired({ peers: addresses.map(configOf), dynamic, originated: [] });
  await speaker.listen();
  return { speaker, port, configOf };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
