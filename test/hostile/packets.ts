/** Builds an attacker's IP packets with any source and header (RFC 791, 8200, 768, 9293, 7348). */
import { addressBytes, familyOf, parseAddress } from '../../lib/cidr.ts';

const TCP = 6;
const UDP = 17;
export const IPIP = 4;
const ICMP = 1;
const ICMPV6 = 58;

export interface Header {
  readonly source: string;
  readonly destination: string;
  readonly ttl?: number;
}

interface Ipv4Extra {
  /** The header's 16 bits of flags and fragment offset. */
  readonly fragment?: number;
  readonly identification?: number;
  /** Options; a multiple of 4 octets. */
  readonly options?: Buffer;
}

export function ip(header: Header & Ipv4Extra, protocol: number, payload: Buffer): Buffer {
  return familyOf(header.source) === 4 ? ipv4(header, protocol, payload) : ipv6(header, protocol, payload);
}

function ipv4(header: Header & Ipv4Extra, protocol: number, payload: Buffer): Buffer {
  const options = header.options ?? Buffer.alloc(0);
  const head = Buffer.alloc(20);
  head[0] = 0x40 | (5 + options.length / 4);
  head.writeUInt16BE(20 + options.length + payload.length, 2);
  head.writeUInt16BE(header.identification ?? 1, 4);
  head.writeUInt16BE(header.fragment ?? 0, 6);
  head[8] = header.ttl ?? 64;
  head[9] = protocol;
  head.set(octets(header.source), 12);
  head.set(octets(header.destination), 16);
  const whole = Buffer.concat([head, options]);
  whole.writeUInt16BE(checksum(whole), 10);
  return Buffer.concat([whole, payload]);
}

function ipv6(header: Header, next: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(40);
  head[0] = 0x60;
  head.writeUInt16BE(payload.length, 4);
  head[6] = next;
  head[7] = header.ttl ?? 64;
  head.set(octets(header.source), 8);
  head.set(octets(header.destination), 24);
  return Buffer.concat([head, payload]);
}

export interface Ports {
  readonly from?: number;
  readonly to: number;
}

export function udp(header: Header & Ipv4Extra, ports: Ports, data: string | Buffer): Buffer {
  const body = Buffer.from(data);
  const head = Buffer.alloc(8);
  head.writeUInt16BE(ports.from ?? 4000, 0);
  head.writeUInt16BE(ports.to, 2);
  head.writeUInt16BE(8 + body.length, 4);
  const datagram = Buffer.concat([head, body]);
  datagram.writeUInt16BE(transportChecksum(header, UDP, datagram) || 0xffff, 6);
  return ip(header, UDP, datagram);
}

export const SYN = 0x02;

export function tcp(
  header: Header,
  ports: Ports,
  { flags = SYN, sequence = 1000 }: { flags?: number; sequence?: number } = {},
): Buffer {
  const segment = Buffer.alloc(20);
  segment.writeUInt16BE(ports.from ?? 4000, 0);
  segment.writeUInt16BE(ports.to, 2);
  segment.writeUInt32BE(sequence, 4);
  segment[12] = 0x50;
  segment[13] = flags;
  segment.writeUInt16BE(65535, 14);
  segment.writeUInt16BE(transportChecksum(header, TCP, segment), 16);
  return ip(header, TCP, segment);
}

/** An echo request. */
export function echo(header: Header, data: string): Buffer {
  const body = Buffer.from(data);
  if (familyOf(header.source) === 6) return icmpv6(header, Buffer.concat([hex('8000000000070001'), body]));
  const message = Buffer.concat([hex('0800000000070001'), body]);
  message.writeUInt16BE(checksum(message), 2);
  return ip(header, ICMP, message);
}

/** An ICMPv6 message; fills in the checksum. */
export function icmpv6(header: Header, message: Buffer): Buffer {
  message.writeUInt16BE(transportChecksum(header, ICMPV6, message), 2);
  return ip(header, ICMPV6, message);
}

/** The payload of a VXLAN datagram: the VNI and an Ethernet frame with the packet (RFC 7348 section 5). */
export function vxlan(vni: number, mac: string, packet: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head[0] = 0x08;
  head.writeUInt32BE(vni << 8, 4);
  const type = packet[0]! >> 4 === 6 ? '86dd' : '0800';
  const ethernet = Buffer.from(`${mac.replaceAll(':', '')}02000000000a${type}`, 'hex');
  return Buffer.concat([head, ethernet, packet]);
}

/** Splits the packet into two fragments. The first carries `first` octets of payload, a multiple of 8. */
export function fragments(packet: Buffer, first: number): Buffer[] {
  const MORE = 0x2000;
  const header = {
    source: text(packet.subarray(12, 16)),
    destination: text(packet.subarray(16, 20)),
    identification: 4242,
  };
  const payload = packet.subarray(20);
  const protocol = packet[9]!;
  return [
    ipv4({ ...header, fragment: MORE }, protocol, payload.subarray(0, first)),
    ipv4({ ...header, fragment: first / 8 }, protocol, payload.subarray(first)),
  ];
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

function text(address: Buffer): string {
  return [...address].join('.');
}

function octets(address: string): Uint8Array {
  return addressBytes(parseAddress(address)!);
}

function transportChecksum({ source, destination }: Header, protocol: number, segment: Buffer): number {
  const tail = Buffer.alloc(4);
  tail.writeUInt16BE(segment.length, 0);
  tail.writeUInt16BE(protocol, 2);
  return checksum(Buffer.concat([octets(source), octets(destination), tail, segment]));
}

/** The Internet checksum (RFC 1071). */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
