/** The wire log: each message of the chosen peers as one decoded line. */
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Observer, Peer } from '../peer/peer.ts';
import { type Frame, Framer } from '../wire/framer.ts';
import { decodeMessage } from '../wire/message.ts';
import type { UpdateContext } from '../wire/update.ts';

/** Shows a message that cannot be decoded as octets. The session handles the error. */
function described(frame: Frame, context: UpdateContext): object {
  try {
    return { message: decodeMessage(frame, context) };
  } catch (error) {
    return { octets: Buffer.from(frame.body).toString('hex'), reason: messageOf(error) };
  }
}

/** `all`, or addresses separated by commas. */
export function createWireLog(peers: string, log: Log): Observer {
  const chosen = new Set(peers.split(',').map((address) => address.trim()));
  return {
    message(peer: Peer, direction, bytes) {
      const { address } = peer.config;
      if (!chosen.has('all') && !chosen.has(address)) return;
      const context = { ...peer.runner.context };
      if (direction === 'sent') Object.assign(context, { addPath: peer.negotiated?.addPathSend ?? [] });
      const framer = new Framer();
      framer.allowExtended();
      framer.push(bytes, (frame) => {
        log.info({ peer: address, direction, ...described(frame, context) }, 'BGP message');
        return true;
      });
    },
    up() {},
    down() {},
  };
}
