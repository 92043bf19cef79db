/** TCP's view of the other end of a connection: Linux's struct tcp_info from getsockopt. */

export interface TcpInfo {
  /** Segments sent and not acknowledged. */
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

/** Size of the structure up to the last field used here, octets. Linux has it since 4.6. */
export const TCP_INFO_LENGTH = 148;

/** Reads the structure; undefined when it is too short. */
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
