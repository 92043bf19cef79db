/** What TCP knows about the other end of a connection: struct tcp_info of Linux, by getsockopt. */

export interface TcpInfo {
  /** Segments that were sent and are not acknowledged. */
  readonly unacknowledged: number;
  /** Octets that the kernel has not sent yet. */
  readonly unsent: number;
  /** Retransmissions, or probes of a closed window, in a row without an acknowledgement. */
  readonly retransmits: number;
  /** Milliseconds since the last acknowledgement. */
  readonly sinceAckMs: number;
  /** Octets received since the connection was made. */
  readonly received: bigint;
}

/** Octets of the structure up to the last field that is read here; Linux has them since 4.6. */
export const TCP_INFO_LENGTH = 148;

/** Reads the structure; undefined for one that is too short. */
export function parseTcpInfo(bytes: Uint8Array | undefined): TcpInfo | undefined {
  if (!bytes || bytes.length < TCP_INFO_LENGTH) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    retransmits: Math.max(view.getUint8(2), view.getUint8(3)),
    unacknowledged: view.getUint32(24, true),
    sinceAckMs: view.getUint32(56, true),
    received: view.getBigUint64(128, true),
    unsent: view.getUint32(144, true),
  };
}
