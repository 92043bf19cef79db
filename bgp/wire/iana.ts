/** Protocol numbers that IANA assigned. */

/** RFC 4271 section 4.1; RFC 2918. */
export const MessageType = { OPEN: 1, UPDATE: 2, NOTIFICATION: 3, KEEPALIVE: 4, ROUTE_REFRESH: 5 } as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** RFC 4271 section 4.5; RFC 7313 (7); RFC 9687 (8). */
export const ErrorCode = {
  MESSAGE_HEADER: 1,
  OPEN_MESSAGE: 2,
  UPDATE_MESSAGE: 3,
  HOLD_TIMER_EXPIRED: 4,
  FINITE_STATE_MACHINE: 5,
  CEASE: 6,
  ROUTE_REFRESH_MESSAGE: 7,
  SEND_HOLD_TIMER_EXPIRED: 8,
} as const;

/** RFC 4271 section 4.5. */
export const HeaderSubcode = { NOT_SYNCHRONIZED: 1, BAD_LENGTH: 2, BAD_TYPE: 3 } as const;

/** RFC 4271 section 4.5; RFC 5492 (7); RFC 9234 (11). */
export const OpenSubcode = {
  UNSUPPORTED_VERSION: 1,
  BAD_PEER_AS: 2,
  BAD_BGP_IDENTIFIER: 3,
  UNSUPPORTED_PARAMETER: 4,
  UNACCEPTABLE_HOLD_TIME: 6,
  UNSUPPORTED_CAPABILITY: 7,
  ROLE_MISMATCH: 11,
} as const;

/** RFC 4271 section 4.5. */
export const UpdateSubcode = {
  MALFORMED_ATTRIBUTE_LIST: 1,
  UNRECOGNIZED_WELL_KNOWN: 2,
  MISSING_WELL_KNOWN: 3,
  ATTRIBUTE_FLAGS: 4,
  ATTRIBUTE_LENGTH: 5,
  INVALID_ORIGIN: 6,
  INVALID_NEXT_HOP: 8,
  OPTIONAL_ATTRIBUTE: 9,
  INVALID_NETWORK_FIELD: 10,
  MALFORMED_AS_PATH: 11,
} as const;

/** RFC 7313 section 5. */
export const RefreshErrorSubcode = { INVALID_LENGTH: 1 } as const;

/** RFC 6608. */
export const FsmSubcode = { IN_OPEN_SENT: 1, IN_OPEN_CONFIRM: 2, IN_ESTABLISHED: 3 } as const;

/** RFC 4486; RFC 8538 (9); RFC 9384 (10). */
export const CeaseSubcode = {
  MAX_PREFIXES: 1,
  ADMINISTRATIVE_SHUTDOWN: 2,
  PEER_DECONFIGURED: 3,
  ADMINISTRATIVE_RESET: 4,
  CONNECTION_REJECTED: 5,
  OTHER_CONFIGURATION_CHANGE: 6,
  CONNECTION_COLLISION: 7,
  OUT_OF_RESOURCES: 8,
  HARD_RESET: 9,
  BFD_DOWN: 10,
} as const;

/** Capability codes: RFC 4760, 2918, 8950, 8654, 9234, 4724, 6793, 7911, 7313, 9494. */
export const CapabilityCode = {
  MULTIPROTOCOL: 1,
  ROUTE_REFRESH: 2,
  EXTENDED_NEXT_HOP: 5,
  EXTENDED_MESSAGE: 6,
  BGP_ROLE: 9,
  GRACEFUL_RESTART: 64,
  FOUR_OCTET_AS: 65,
  ADD_PATH: 69,
  ENHANCED_ROUTE_REFRESH: 70,
  LONG_LIVED_GRACEFUL_RESTART: 71,
} as const;

/** Path attribute type codes. */
export const AttributeType = {
  ORIGIN: 1,
  AS_PATH: 2,
  NEXT_HOP: 3,
  MULTI_EXIT_DISC: 4,
  LOCAL_PREF: 5,
  ATOMIC_AGGREGATE: 6,
  AGGREGATOR: 7,
  COMMUNITIES: 8,
  ORIGINATOR_ID: 9,
  CLUSTER_LIST: 10,
  MP_REACH_NLRI: 14,
  MP_UNREACH_NLRI: 15,
  EXTENDED_COMMUNITIES: 16,
  AS4_PATH: 17,
  AS4_AGGREGATOR: 18,
  LARGE_COMMUNITIES: 32,
  /** RFC 9234. */
  ONLY_TO_CUSTOMER: 35,
} as const;

/** Attribute flag bits, RFC 4271 section 4.3. */
export const AttributeFlag = {
  OPTIONAL: 0x80,
  TRANSITIVE: 0x40,
  PARTIAL: 0x20,
  EXTENDED_LENGTH: 0x10,
} as const;

export const Origin = { IGP: 0, EGP: 1, INCOMPLETE: 2 } as const;

/** AS_PATH segment types, RFC 4271 section 4.3 and RFC 5065. */
export const SegmentType = { AS_SET: 1, AS_SEQUENCE: 2, CONFED_SEQUENCE: 3, CONFED_SET: 4 } as const;

/** Supported AFI numbers. The only supported SAFI is unicast. */
export const Afi = { IPV4: 1, IPV6: 2 } as const;
export const SAFI_UNICAST = 1;

/** RFC 6793: replaces an AS number that does not fit into two octets. */
export const AS_TRANS = 23456;

export const HEADER_LENGTH = 19;
export const MAX_MESSAGE_LENGTH = 4096;
/** RFC 8654. */
export const MAX_EXTENDED_MESSAGE_LENGTH = 65535;
/** Octets of an attribute list in the longest UPDATE: its length without the header and two length fields. */
export const MAX_ATTRIBUTES_LENGTH = MAX_EXTENDED_MESSAGE_LENGTH - HEADER_LENGTH - 4;

/** RFC 9234 section 4.1: the sender's role towards the receiver. */
export const BgpRole = {
  PROVIDER: 0,
  ROUTE_SERVER: 1,
  ROUTE_SERVER_CLIENT: 2,
  CUSTOMER: 3,
  PEER: 4,
} as const;

/** Third octet of ROUTE-REFRESH: RFC 2918 and RFC 7313. */
export const RefreshSubtype = { REQUEST: 0, BEGIN: 1, END: 2 } as const;
