/** The transport of BGP over TCP (RFC 4271). */
import type { Transport } from './port.ts';
import { TcpConnection } from './tcp-connection.ts';
import { TcpListener } from './tcp-listener.ts';

export const tcpTransport: Transport = {
  listener: (options, incoming) => new TcpListener(options, incoming),
  dial: (remote, events) => TcpConnection.dial(remote, events),
};
