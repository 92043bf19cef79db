/** The reason of a BMP Peer Down Notification and the data that follows it (RFC 7854 section 4.9). */
import type { SessionEnd } from '../session/session.ts';
import { encodeMessage } from '../wire/message.ts';
import type { NotificationBody } from '../wire/wire-error.ts';
import { Writer } from '../wire/writer.ts';

/** Reason 5 is not used: a station that is removed from the configuration gets a Termination instead. */
const Reason = {
  LOCAL_NOTIFICATION: 1,
  LOCAL_NO_NOTIFICATION: 2,
  REMOTE_NOTIFICATION: 3,
  REMOTE_NO_NOTIFICATION: 4,
} as const;

/** Returns the octets after the per-peer header. */
export function peerDown(end: SessionEnd): Uint8Array {
  switch (end.how) {
    case 'notified':
      return new Writer().u8(Reason.LOCAL_NOTIFICATION).bytes(message(end.notification)).finish();
    case 'closed':
      return new Writer().u8(Reason.LOCAL_NO_NOTIFICATION).u16(end.fsmEvent).finish();
    case 'notification received':
      return new Writer().u8(Reason.REMOTE_NOTIFICATION).bytes(message(end.notification)).finish();
    case 'lost':
      return new Writer().u8(Reason.REMOTE_NO_NOTIFICATION).finish();
    default:
      throw new Error(`unreachable ${JSON.stringify(end satisfies never)}`);
  }
}

/** Returns the NOTIFICATION with its header. Its encoding does not depend on what the session negotiated. */
function message({ code, subcode, data }: NotificationBody): Uint8Array {
  const context = { isFourOctetAs: true, isIbgp: false };
  return encodeMessage({ type: 'notification', code, subcode, data }, context);
}
