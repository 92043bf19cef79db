/** Encodes and decodes messages of any type. */
import type { Family } from '../../lib/cidr.ts';
import type { AttributeContext } from './attributes.ts';
import type { Frame } from './framer.ts';
import {
  ErrorCode,
  HEADER_LENGTH,
  HeaderSubcode,
  MAX_EXTENDED_MESSAGE_LENGTH,
  MessageType,
  RefreshErrorSubcode,
  RefreshSubtype,
  SAFI_UNICAST,
} from './iana.ts';
import { afiOf, familyOfAfi } from './nlri.ts';
import { decodeNotification, encodeNotification, type NotificationMessage } from './notification.ts';
import { decodeOpen, encodeOpen, type OpenMessage } from './open.ts';
import { Reader } from './reader.ts';
import {
  decodeUpdate,
  encodeUpdate,
  type OutgoingUpdate,
  type UpdateContext,
  type UpdateMessage,
} from './update.ts';
import { WireError } from './wire-error.ts';
import { Writer } from './writer.ts';

/** RFC 2918 section 3. */
export interface RouteRefreshMessage {
  readonly type: 'route-refresh';
  /** Undefined for an unsupported family, to be ignored. */
  readonly family: Family | undefined;
  /** A value of RefreshSubtype (RFC 7313 section 3.2), or another one, to be ignored. */
  readonly subtype: number;
}

export interface KeepaliveMessage {
  readonly type: 'keepalive';
}

export type Message =
  | OpenMessage
  | UpdateMessage
  | NotificationMessage
  | KeepaliveMessage
  | RouteRefreshMessage;

export type OutgoingMessage =
  | OpenMessage
  | KeepaliveMessage
  | RouteRefreshMessage
  | NotificationMessage
  | ({ readonly type: 'update' } & OutgoingUpdate);

/** The negotiated values that change the encoding of messages. */
export interface MessageContext extends UpdateContext {
  /** RFC 7313. */
  readonly hasEnhancedRefresh?: boolean;
}

/** Decodes a frame. Throws WireError with the NOTIFICATION to send. */
export function decodeMessage({ type, body, message }: Frame, context: MessageContext): Message {
  switch (type) {
    case MessageType.OPEN:
      return decodeOpen(body);
    case MessageType.UPDATE:
      return decodeUpdate(body, context);
    case MessageType.NOTIFICATION:
      return decodeNotification(body);
    case MessageType.KEEPALIVE:
      return { type: 'keepalive' };
    case MessageType.ROUTE_REFRESH:
      return decodeRouteRefresh(body, message, context.hasEnhancedRefresh ?? false);
    default:
      throw new Error(`unreachable message type ${type satisfies never}`);
  }
}

/** Encodes a message, header included. Throws RangeError when it exceeds the maximum length (RFC 8654). */
export function encodeMessage(message: OutgoingMessage, context: AttributeContext): Uint8Array {
  switch (message.type) {
    case 'open':
      return frame(MessageType.OPEN, encodeOpen(message));
    case 'update':
      return frame(MessageType.UPDATE, encodeUpdate(message, context));
    case 'notification':
      return frame(MessageType.NOTIFICATION, encodeNotification(message));
    case 'keepalive':
      return frame(MessageType.KEEPALIVE, new Uint8Array());
    case 'route-refresh': {
      const body = new Writer()
        .u16(message.family ? afiOf(message.family) : 0)
        .u8(message.subtype)
        .u8(SAFI_UNICAST);
      return frame(MessageType.ROUTE_REFRESH, body.finish());
    }
    default:
      throw new Error(`unreachable message ${JSON.stringify(message satisfies never)}`);
  }
}

function frame(type: MessageType, body: Uint8Array): Uint8Array {
  if (HEADER_LENGTH + body.length > MAX_EXTENDED_MESSAGE_LENGTH)
    throw new RangeError(`a message of ${HEADER_LENGTH + body.length} octets`);
  const writer = new Writer();
  for (let i = 0; i < 16; i++) writer.u8(0xff);
  return writer
    .u16(HEADER_LENGTH + body.length)
    .u8(type)
    .bytes(body)
    .finish();
}

/** RFC 2918 section 3. Octets after the first four are ORFs (RFC 5291), which this speaker does not support. */
function decodeRouteRefresh(
  body: Uint8Array,
  message: Uint8Array,
  hasEnhancedRefresh: boolean,
): RouteRefreshMessage {
  const reader = new Reader(body);
  const family = familyOfAfi(reader.u16());
  const subtype = reader.u8();
  const isMarker = subtype === RefreshSubtype.BEGIN || subtype === RefreshSubtype.END;
  if (body.length !== 4 && isMarker && hasEnhancedRefresh) {
    // RFC 7313 section 5: the data is the complete message.
    throw new WireError(
      ErrorCode.ROUTE_REFRESH_MESSAGE,
      RefreshErrorSubcode.INVALID_LENGTH,
      `ROUTE-REFRESH of ${body.length} octets without its header, subtype ${subtype}`,
      message.slice(),
    );
  }
  if (body.length < 4) {
    throw new WireError(
      ErrorCode.MESSAGE_HEADER,
      HeaderSubcode.BAD_LENGTH,
      `ROUTE-REFRESH of ${message.length} octets`,
      message.slice(16, 18),
    );
  }
  return { type: 'route-refresh', family: reader.u8() === SAFI_UNICAST ? family : undefined, subtype };
}
