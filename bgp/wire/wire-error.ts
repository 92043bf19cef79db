/** An error in a message, with the NOTIFICATION to send (RFC 4271 section 6). */

export interface NotificationBody {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

export class WireError extends Error {
  readonly notification: NotificationBody;

  constructor(code: number, subcode: number, message: string, data: Uint8Array = new Uint8Array()) {
    super(message);
    this.name = 'WireError';
    this.notification = { code, subcode, data };
  }
}
