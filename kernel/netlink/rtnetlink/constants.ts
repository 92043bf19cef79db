/** Numbers of rtnetlink: linux/rtnetlink.h, if_link.h, if_addr.h, neighbour.h, fib_rules.h and nexthop.h. */

/** Message types. */
export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
  NEWRULE: 32,
  DELRULE: 33,
  GETRULE: 34,
  NEWNEXTHOP: 104,
  DELNEXTHOP: 105,
  GETNEXTHOP: 106,
} as const;

/** Address families (linux/socket.h). */
export const AF = { UNSPEC: 0, INET: 2, BRIDGE: 7, INET6: 10 } as const;

/** Attributes of a route. */
export const RTA = {
  DST: 1,
  OIF: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  PREFSRC: 7,
  MULTIPATH: 9,
  TABLE: 15,
  VIA: 18,
  NH_ID: 30,
} as const;

export const RT_TABLE_MAIN = 254;
export const RT_SCOPE = { UNIVERSE: 0, LINK: 253, HOST: 254, NOWHERE: 255 } as const;

/** Route types that we write. `typeNames` has the names of all. */
export const RTN = { UNSPEC: 0, UNICAST: 1, BLACKHOLE: 6 } as const;

/** A next hop that counts as on the link whatever its address. */
export const RTNH_F_ONLINK = 4;

/** Flag of a route: a cached copy. */
export const RTM_F_CLONED = 0x200;

/** Attributes of a link. */
export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  MASTER: 10,
  LINKINFO: 18,
  NET_NS_FD: 28,
  EXT_MASK: 29,
} as const;

/** Attributes of IFLA.LINKINFO. */
export const IFLA_INFO = { KIND: 1, DATA: 2 } as const;
export const IFLA_VXLAN = { ID: 1, LOCAL: 4, LEARNING: 7, PORT: 15, LOCAL6: 17 } as const;
export const VETH_INFO_PEER = 1;

export const IFF_UP = 1;
/** Leaves statistics, which are most of a link's bytes, out of a dump. */
export const RTEXT_FILTER_SKIP_STATS = 8;

/** Hardware types of tunnels, whose link address is an IP address (linux/if_arp.h). */
export const ARPHRD = { TUNNEL: 768, TUNNEL6: 769, SIT: 776, IPGRE: 778, IP6GRE: 823 } as const;

/** Attributes of an address. */
export const IFA = { ADDRESS: 1, LOCAL: 2, CACHEINFO: 6, FLAGS: 8 } as const;

/** Flags of an address. `TEMPORARY` means secondary in IPv4. */
export const IFA_F = {
  TEMPORARY: 0x01,
  NODAD: 0x02,
  DADFAILED: 0x08,
  DEPRECATED: 0x20,
  TENTATIVE: 0x40,
} as const;

/** Attributes of a neighbour or a forwarding entry. */
export const NDA = { DST: 1, LLADDR: 2 } as const;
export const NUD = { NOARP: 0x40, PERMANENT: 0x80 } as const;
/** The entry belongs to the device itself, not to its bridge. */
export const NTF_SELF = 2;
/** The host answers for another one. */
export const NTF_PROXY = 8;

/** Attributes of a rule. */
export const FRA = {
  DST: 1,
  SRC: 2,
  IIFNAME: 3,
  PRIORITY: 6,
  FWMARK: 10,
  TABLE: 15,
  FWMASK: 16,
  OIFNAME: 17,
} as const;
export const FIB_RULE_INVERT = 2;
export const FR_ACT_TO_TBL = 1;

/** Attributes of a next-hop object. */
export const NHA = { ID: 1, GROUP: 2, BLACKHOLE: 4, OIF: 5, GATEWAY: 6, FDB: 11 } as const;
