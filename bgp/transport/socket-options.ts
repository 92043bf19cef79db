/**
 * Options of BGP's TCP sockets: MD5 signatures (RFC 2385), GTSM (RFC 5082), precedence (RFC 4271 appendix E). Every
 * segment leaves with TTL 255, so that a peer can demand it. All of this needs koffi (native.ts).
 */
import type { Server, Socket } from 'node:net';
import { addressBytes, familyOf, parseAddress } from '../../lib/cidr.ts';
import { CodedError } from '../../lib/errors.ts';
import { type Native, native } from './native.ts';
import type { SecurityOptions } from './port.ts';
import { parseTcpInfo, TCP_INFO_LENGTH, type TcpInfo } from './tcp-info.ts';

const IPPROTO_IP = 0;
const IP_TOS = 1;
const IP_TTL = 2;
const IP_MINTTL = 21;
const IP_MULTICAST_TTL = 33;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const TCP_MD5SIG = 14;
const TCP_USER_TIMEOUT = 18;
const IPPROTO_IPV6 = 41;
const IPV6_UNICAST_HOPS = 16;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_TCLASS = 67;
const IPV6_MINHOPCOUNT = 73;
const MAX_TTL = 255;
/** DSCP CS6, internetwork control. */
const TOS = 0xc0;
const USER_TIMEOUT_MS = 30_000;
export const MAX_PASSWORD_LENGTH = 80;
const AF_INET = 2;
const AF_INET6 = 10;
const ENOMEM = 12;

/** Whether this process can set these options. */
export function hasSocketOptions(): boolean {
  return native() !== undefined;
}

/** File descriptor of a socket or server. Node has no documented name for it. */
export function descriptorOf(socket: Socket | Server): number {
  const { _handle } = socket as unknown as { _handle?: { fd?: number } };
  return _handle?.fd ?? -1;
}

/** Undefined when this node can make a socket with these options, else a sentence for the operator. */
export function missingForSecurity({ password, ttlSecurityHops }: SecurityOptions): string | undefined {
  if (password === undefined && ttlSecurityHops === undefined) return undefined;
  const what = password === undefined ? 'ttlSecurity' : 'a TCP MD5 password';
  return native() ? undefined : `${what} needs the package koffi, which has no build for this platform`;
}

/** Sets the options of an incoming connection. Throws CodedError BGP_SOCKET. */
export function applyToConnection(socket: Socket, peer: string, options: SecurityOptions): void {
  const calls = native();
  const fd = descriptorOf(socket);
  if (!calls || fd < 0) return;
  applyCommon(calls, fd, socket.remoteFamily === 'IPv6');
  if (options.ttlSecurityHops !== undefined)
    setMinimumTtl(calls, fd, familyOf(peer) === 6, options.ttlSecurityHops);
}

/**
 * Makes an unconnected socket with every option that the first SYN needs; undefined without koffi. Throws CodedError
 * BGP_SOCKET.
 */
export function dialSocket(peer: string, options: SecurityOptions): number | undefined {
  const calls = native();
  if (!calls) return undefined;
  const isV6 = familyOf(peer) === 6;
  const fd = calls.socket(isV6);
  if (fd < 0) throw new CodedError('BGP_SOCKET', 'the kernel refuses to create a socket');
  try {
    applyCommon(calls, fd, isV6);
    if (options.ttlSecurityHops !== undefined) setMinimumTtl(calls, fd, isV6, options.ttlSecurityHops);
    if (options.password !== undefined) setKey(calls, fd, isV6, peer, options.password);
    return fd;
  } catch (error) {
    calls.close(fd);
    throw error;
  }
}

/** Sets the key of a peer on a listening socket; undefined removes it. Throws CodedError BGP_SOCKET. */
export function setListenKey(server: Server, peer: string, password: string | undefined): void {
  const calls = native();
  const address = server.address();
  if (!calls || !address || typeof address === 'string') return;
  const isV6Socket = address.family === 'IPv6';
  if (!isV6Socket && familyOf(peer) === 6) return;
  setKey(calls, descriptorOf(server), isV6Socket, peer, password ?? '');
}

/** Sets the key on an established connection; does nothing on a closed one. Throws CodedError BGP_SOCKET. */
export function setConnectionKey(socket: Socket, peer: string, password: string | undefined): void {
  const calls = native();
  const fd = descriptorOf(socket);
  if (!calls || fd < 0 || socket.connecting || !socket.localFamily) return;
  // An accepted IPv4 connection may use a socket of both families, which its address shows.
  setKey(calls, fd, socket.localFamily === 'IPv6', peer, password ?? '');
}

/** Sets the minimum TTL of a running connection; undefined accepts any. Throws CodedError BGP_SOCKET. */
export function setConnectionTtl(socket: Socket, peer: string, hops: number | undefined): void {
  const calls = native();
  const fd = descriptorOf(socket);
  if (calls && fd >= 0) setMinimumTtl(calls, fd, familyOf(peer) === 6, hops);
}

/**
 * TTL (hop limit) of the segment that completed the handshake of an accepted connection, or undefined. Linux keeps it
 * as the multicast TTL of the new socket (tcp_v4_syn_recv_sock, tcp_v6_syn_recv_sock). IP_MINTTL is too late for this
 * segment, because the connection exists before the option can be set. Its sender knows the sequence number of our
 * SYN-ACK, so its TTL is proof for the whole connection.
 */
export function handshakeTtl(socket: Socket, peer: string): number | undefined {
  const calls = native();
  const fd = descriptorOf(socket);
  if (!calls || fd < 0) return undefined;
  const value =
    familyOf(peer) === 6
      ? calls.getOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 4)
      : calls.getOption(fd, IPPROTO_IP, IP_MULTICAST_TTL, 4);
  return value?.length === 4 ? new DataView(value.buffer, value.byteOffset).getInt32(0, true) : value?.[0];
}

/** TCP's view of a connection; undefined without koffi and for a closed one. */
export function tcpInfo(socket: Socket): TcpInfo | undefined {
  const fd = descriptorOf(socket);
  return fd < 0 ? undefined : parseTcpInfo(native()?.getOption(fd, IPPROTO_TCP, TCP_INFO, TCP_INFO_LENGTH));
}

/** SYN-ACKs leave with the TTL that GTSM demands, and accepted connections inherit it. */
export function applyToListener(server: Server): void {
  const calls = native();
  const fd = descriptorOf(server);
  if (!calls || fd < 0) return;
  const address = server.address();
  sendMaximumTtl(calls, fd, typeof address === 'object' && address?.family === 'IPv6');
}

/** The lowest TTL that a segment may arrive with (RFC 5082 section 3). */
export function minimumTtl(hops: number): number {
  return MAX_TTL + 1 - hops;
}

function applyCommon(calls: Native, fd: number, isV6: boolean): void {
  calls.setOption(fd, IPPROTO_IP, IP_TOS, int32(TOS));
  if (isV6) calls.setOption(fd, IPPROTO_IPV6, IPV6_TCLASS, int32(TOS));
  sendMaximumTtl(calls, fd, isV6);
  calls.setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, int32(USER_TIMEOUT_MS));
}

/** An IPv6 socket may carry IPv4 too. */
function sendMaximumTtl(calls: Native, fd: number, isV6: boolean): void {
  calls.setOption(fd, IPPROTO_IP, IP_TTL, int32(MAX_TTL));
  if (isV6) calls.setOption(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, int32(MAX_TTL));
}

function setMinimumTtl(calls: Native, fd: number, isV6: boolean, hops: number | undefined): void {
  const minimum = int32(hops === undefined ? 0 : minimumTtl(hops));
  const errno = isV6
    ? calls.setOption(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, minimum)
    : calls.setOption(fd, IPPROTO_IP, IP_MINTTL, minimum);
  if (errno !== 0) throw new CodedError('BGP_SOCKET', `the kernel refuses ttlSecurity: errno ${errno}`);
}

/** struct tcp_md5sig: sockaddr_storage (128), flags, prefix length, key length (16), ifindex (32), key (80). */
function setKey(calls: Native, fd: number, isV6Socket: boolean, peer: string, password: string): void {
  const key = Buffer.from(password);
  if (key.length > MAX_PASSWORD_LENGTH)
    throw new CodedError(
      'BGP_SOCKET',
      `the TCP MD5 password has ${key.length} octets, the maximum is ${MAX_PASSWORD_LENGTH}`,
    );
  const bytes = new Uint8Array(216);
  const view = new DataView(bytes.buffer);
  const address = addressBytes(parseAddress(peer.replace(/%.*$/, ''))!);
  view.setUint16(0, isV6Socket ? AF_INET6 : AF_INET, true);
  if (!isV6Socket) bytes.set(address, 4);
  else if (address.length === 16) bytes.set(address, 8);
  else {
    // An IPv4 peer on a socket of both families has a mapped address.
    bytes.set([0xff, 0xff], 18);
    bytes.set(address, 20);
  }
  view.setUint16(130, key.length, true);
  bytes.set(key, 136);
  const errno = calls.setOption(fd, IPPROTO_TCP, TCP_MD5SIG, bytes);
  // Removing an absent key is not a failure.
  if (errno === 0 || key.length === 0) return;
  const why =
    errno === ENOMEM ? 'too many keys on one socket, raise the sysctl net.core.optmem_max' : `errno ${errno}`;
  throw new CodedError('BGP_SOCKET', `the kernel refuses the TCP MD5 password: ${why}`);
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}
