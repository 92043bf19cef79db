/** Requests as functions that append one message, so that the codec and the sockets need not know each other. */
import type { MessageWriter } from './message-writer.ts';

/** Why a request cannot be written, in the words of the kernel or of iproute2. */
export interface Refusal {
  /** Name of the error number, as if the kernel had refused it. */
  readonly code: string | undefined;
  readonly message: string;
}

/** Appends one message with a sequence number. Returns why that is impossible, and then appends nothing. */
export type WriteRequest = (writer: MessageWriter, sequence: number) => Refusal | undefined;
