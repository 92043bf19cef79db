/** NOTIFICATION (RFC 4271 section 4.5), and its description as text. */
import { CeaseSubcode, ErrorCode, FsmSubcode, HeaderSubcode, OpenSubcode, UpdateSubcode } from './iana.ts';
import type { NotificationBody } from './wire-error.ts';
import { Writer } from './writer.ts';

export interface NotificationMessage extends NotificationBody {
  readonly type: 'notification';
}

export function decodeNotification(body: Uint8Array): NotificationMessage {
  return { type: 'notification', code: body[0]!, subcode: body[1]!, data: body.slice(2) };
}

export function encodeNotification({ code, subcode, data }: NotificationBody): Uint8Array {
  return new Writer().u8(code).u8(subcode).bytes(data).finish();
}

/** Longest shutdown message, octets (RFC 9003). */
const MAX_SHUTDOWN_MESSAGE = 255;

/** Returns a NOTIFICATION. `message` is a shutdown message (RFC 9003), truncated at a character boundary. */
export function notification(code: number, subcode = 0, message = ''): NotificationBody {
  if (message === '') return { code, subcode, data: new Uint8Array() };
  let text = new TextEncoder().encode(message);
  if (text.length > MAX_SHUTDOWN_MESSAGE) {
    let end = MAX_SHUTDOWN_MESSAGE;
    while ((text[end]! & 0xc0) === 0x80) end--;
    text = text.slice(0, end);
  }
  return { code, subcode, data: Uint8Array.of(text.length, ...text) };
}

/** Wraps a NOTIFICATION in Cease/Hard Reset, which rules out graceful restart (RFC 8538 section 3). */
export function hardReset({ code, subcode, data }: NotificationBody): NotificationBody {
  return {
    code: ErrorCode.CEASE,
    subcode: CeaseSubcode.HARD_RESET,
    data: Uint8Array.of(code, subcode, ...data),
  };
}

const subcodes: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  [ErrorCode.MESSAGE_HEADER]: HeaderSubcode,
  [ErrorCode.OPEN_MESSAGE]: OpenSubcode,
  [ErrorCode.UPDATE_MESSAGE]: UpdateSubcode,
  [ErrorCode.FINITE_STATE_MACHINE]: FsmSubcode,
  [ErrorCode.CEASE]: CeaseSubcode,
};

/** Describes a NOTIFICATION, such as `Cease/Administrative Shutdown: maintenance until noon`. */
export function describeNotification({ code, subcode, data }: NotificationBody): string {
  if (code === ErrorCode.CEASE && subcode === CeaseSubcode.HARD_RESET && data.length >= 2) {
    const inner = { code: data[0]!, subcode: data[1]!, data: data.subarray(2) };
    return `${describeNotification(inner)} (hard reset)`;
  }
  const name = words(nameOf(ErrorCode, code)) ?? `error ${code}`;
  const detail =
    subcode === 0 ? undefined : (words(nameOf(subcodes[code] ?? {}, subcode)) ?? `subcode ${subcode}`);
  return [detail ? `${name}/${detail}` : name, shutdownText(code, subcode, data)].filter(Boolean).join(': ');
}

function nameOf(numbers: Readonly<Record<string, number>>, wanted: number): string | undefined {
  return Object.entries(numbers).find(([, number]) => number === wanted)?.[0];
}

function words(name: string | undefined): string | undefined {
  return name
    ?.toLowerCase()
    .split('_')
    .map((word) =>
      ['as', 'bgp', 'bfd'].includes(word) ? word.toUpperCase() : word[0]!.toUpperCase() + word.slice(1),
    )
    .join(' ');
}

/** Returns the shutdown message of the other side's operator (RFC 9003). */
function shutdownText(code: number, subcode: number, data: Uint8Array): string | undefined {
  const isShutdown =
    code === ErrorCode.CEASE &&
    (subcode === CeaseSubcode.ADMINISTRATIVE_SHUTDOWN || subcode === CeaseSubcode.ADMINISTRATIVE_RESET);
  const length = data[0] ?? 0;
  if (!isShutdown || length === 0 || length > data.length - 1) return undefined;
  return new TextDecoder().decode(data.subarray(1, 1 + length));
}
