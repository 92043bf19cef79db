/** Numbers of linux/netlink.h that every netlink family shares. */

/** Message types below NLMSG_MIN_TYPE. */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

/** Flags of every message. */
export const NLM_F_REQUEST = 0x01;
export const NLM_F_MULTI = 0x02;
export const NLM_F_ACK = 0x04;
/** A dump that a change interrupted: its content is inconsistent. */
export const NLM_F_DUMP_INTR = 0x10;

/** Flags of a request that reads. */
export const NLM_F_DUMP = 0x300;

/** Flags of a request that creates. */
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

/** Flags of an acknowledgement: the request is not repeated in full; attributes follow (extended acknowledgement). */
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;

/** Attributes of an extended acknowledgement. */
export const NLMSGERR_ATTR_MSG = 1;
export const NLMSGERR_ATTR_OFFS = 2;

/** Flags in an attribute's type. */
export const NLA_F_NESTED = 0x8000;
export const NLA_TYPE_MASK = 0x3fff;
