/** The wire log: every message of chosen peers, decoded, one line each. */
import type { Log } from '../../lib/log.ts';
import type { Observer, Peer } from '../peer.ts';
import { Framer } from '../wire/framer.ts';
import { decodeMessage } from '../wire/message.ts';

/** `all`, or addresses separated by commas. */
export function createWireLog(peers: string, log: Log): Observer {
  const chosen = new Set(peers.split(',').map((address) => address.trim()));
  return {
    message(peer: Peer, direction, bytes) {
      const { address } = peer.config;
      if (!chosen.has('all') && !chosen.has(address)) return;
      const context = { ...peer.conversation.context };
      if (direction === 'sent') Object.assign(context, { addPath: peer.negotiated?.addPathSend ?? [] });
      const framer = new Framer();
      framer.allowExtended();
      framer.push(bytes, (frame) => {
        log.info({ peer: address, direction, message: decodeMessage(frame, context) }, 'wire');
        return true;
      });
    },
    up() {},
    down() {},
  };
}
