/**
 * The kernel's answer to a request: NLMSG_ERROR, also for success (number 0), and NLMSG_DONE after a dump.
 *
 *     NLMSG_ERROR:  -errno i32 | header of the request | its body, unless NLM_F_CAPPED | attributes, if NLM_F_ACK_TLVS
 *     NLMSG_DONE:   -errno i32 | attributes, if NLM_F_ACK_TLVS
 */
import { readAttributes } from './attributes.ts';
import { align, readI32, readU32 } from './bytes.ts';
import {
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSG_DONE,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
} from './constants.ts';
import { HEADER_LENGTH, isMalformed, type Malformed, type Message } from './message.ts';

export interface Acknowledgement {
  /** Positive error number; 0 for success. */
  readonly errno: number;
  /** The kernel's explanation (extended acknowledgement). It can warn about a request that succeeded. */
  readonly message?: string | undefined;
  /** Offset in the request, header included, of the attribute that the kernel refused. */
  readonly offset?: number | undefined;
}

/** Decodes a message of type NLMSG_ERROR or NLMSG_DONE. */
export function decodeAcknowledgement({ type, flags, body }: Message): Acknowledgement | Malformed {
  // Kernels end some dumps with a bare NLMSG_DONE.
  if (type === NLMSG_DONE && body.length < 4) return { errno: 0 };
  if (body.length < (type === NLMSG_DONE ? 4 : 4 + HEADER_LENGTH))
    return { malformed: `acknowledgement of ${body.length} bytes` };
  const errno = 0 - readI32(body, 0);
  if (errno < 0) return { malformed: `error number ${errno} in an acknowledgement` };
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno };
  const attributes = readAttributes(body, attributesAt(type, flags, body));
  // The number alone is an answer, so a fault in the explanation does not matter.
  if (isMalformed(attributes)) return { errno };
  return {
    errno,
    message: attributes.text(NLMSGERR_ATTR_MSG),
    offset: attributes.u32(NLMSGERR_ATTR_OFFS),
  };
}

function attributesAt(type: number, flags: number, body: Uint8Array): number {
  if (type === NLMSG_DONE) return 4;
  return 4 + ((flags & NLM_F_CAPPED) !== 0 ? HEADER_LENGTH : align(readU32(body, 4)));
}
