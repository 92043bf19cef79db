/** Builds IP packets as hex for send-packet.c, including ones that the socket API would not send. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { addressBytes, familyOf, parseAddress } from '../../lib/cidr.ts';

export interface PacketEnds {
  readonly from: string;
  readonly to: string;
}

export const protocols = { icmp: 1, igmp: 2, ipip: 4, tcp: 6, udp: 17, ipv6: 41, icmpv6: 58 } as const;

/** Compiles send-packet.c and returns the program's path. Throws without gcc. */
export function buildSender(): string {
  const program = path.join(mkdtempSync(path.join(os.tmpdir(), 'cali-send-')), 'send-packet');
  const source = path.join(import.meta.dirname, 'send-packet.c');
  const { status, stderr } = spawnSync('gcc', ['-O1', '-Wall', '-Werror', '-o', program, source]);
  if (status !== 0) throw new Error(`gcc: ${String(stderr)}`);
  return program;
}

export function udp(
  ends: PacketEnds,
  to: number,
  { from = 40_000, data = Buffer.from('test') } = {},
): string {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(from, 0);
  header.writeUInt16BE(to, 2);
  header.writeUInt16BE(8 + data.length, 4);
  return ip(ends, protocols.udp, checked(ends, protocols.udp, Buffer.concat([header, data]), 6));
}

/** A TCP SYN. */
export function tcp(ends: PacketEnds, to: number, { from = 40_000 } = {}): string {
  return ip(ends, protocols.tcp, tcpSegment(ends, to, from));
}

export function tcpSegment(ends: PacketEnds, to: number, from = 40_000): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(from, 0);
  header.writeUInt16BE(to, 2);
  header.writeUInt32BE(1, 4);
  header[12] = 5 << 4;
  header[13] = 2;
  header.writeUInt16BE(65_535, 14);
  return checked(ends, protocols.tcp, header, 16);
}

/** An ICMPv6 message with the hop limit of neighbour discovery. */
export function icmpv6(ends: PacketEnds, type: number, body: Buffer): string {
  const header = Buffer.from([type, 0, 0, 0]);
  return ip(ends, protocols.icmpv6, checked(ends, protocols.icmpv6, Buffer.concat([header, body]), 2));
}

/** An IPv4 or IPv6 packet with a payload. */
export function ip(ends: PacketEnds, protocol: number, payload: Buffer): string {
  return familyOf(ends.to) === 4 ? ipv4(ends, protocol, payload, 0) : ipv6(ends, protocol, payload);
}

/** Returns the packet with a number in IPv4's identification or IPv6's flow label. */
export function numbered(hex: string, tag: number): string {
  const packet = Buffer.from(hex, 'hex');
  const isV4 = packet[0]! >> 4 === 4;
  packet.writeUInt16BE(tag, isV4 ? 4 : 2);
  if (isV4) {
    packet.writeUInt16BE(0, 10);
    packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10);
  }
  return packet.toString('hex');
}

/** An IPv4 packet in fragments of `size` octets of payload, a multiple of 8. */
export function fragments4(ends: PacketEnds, protocol: number, payload: Buffer, size: number): string[] {
  const count = Math.ceil(payload.length / size);
  return Array.from({ length: count }, (_, i) => {
    const isLast = i === count - 1;
    const part = payload.subarray(i * size, (i + 1) * size);
    return ipv4(ends, protocol, part, (isLast ? 0 : 0x2000) | ((i * size) / 8));
  });
}

/** An IPv6 packet in fragments; the payload may begin with extension headers. */
export function fragments6(ends: PacketEnds, protocol: number, payload: Buffer, size: number): string[] {
  const count = Math.ceil(payload.length / size);
  return Array.from({ length: count }, (_, i) => {
    const header = Buffer.from([protocol, 0, 0, 0, 0, 0, 0x12, 0x34]);
    header.writeUInt16BE((i * size) | (i === count - 1 ? 0 : 1), 2);
    return ipv6(ends, 44, Buffer.concat([header, payload.subarray(i * size, (i + 1) * size)]));
  });
}

/** A Destination Options header (protocol 60) of padding before a payload; `length` is a multiple of 8 octets. */
export function destinationOptions(next: number, payload: Buffer, length = 8): Buffer {
  const options = Buffer.alloc(length);
  options[0] = next;
  options[1] = length / 8 - 1;
  options[2] = 1;
  options[3] = length - 4;
  return Buffer.concat([options, payload]);
}

function ipv4({ from, to }: PacketEnds, protocol: number, payload: Buffer, fragment: number): string {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt16BE(0x1234, 4);
  header.writeUInt16BE(fragment, 6);
  header[8] = 64;
  header[9] = protocol;
  header.set(bytesOf(from), 12);
  header.set(bytesOf(to), 16);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]).toString('hex');
}

function ipv6({ from, to }: PacketEnds, protocol: number, payload: Buffer): string {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(payload.length, 4);
  header[6] = protocol;
  header[7] = 255;
  header.set(bytesOf(from), 8);
  header.set(bytesOf(to), 24);
  return Buffer.concat([header, payload]).toString('hex');
}

/** Writes the checksum, which covers the family's pseudo-header, at offset `at`. */
function checked({ from, to }: PacketEnds, protocol: number, segment: Buffer, at: number): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(segment.length);
  const pseudo = Buffer.concat([
    bytesOf(from),
    bytesOf(to),
    length,
    Buffer.from([0, 0, 0, protocol]),
    segment,
  ]);
  segment.writeUInt16BE(checksum(pseudo) || 0xffff, at);
  return segment;
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function bytesOf(text: string): Buffer {
  const address = parseAddress(text);
  if (!address) throw new Error(`${text} is not an IP address`);
  return Buffer.from(addressBytes(address));
}
