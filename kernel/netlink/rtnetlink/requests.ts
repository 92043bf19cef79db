/**
 * Requests that read. Their headers have the complete layout that strict checking (NETLINK_GET_STRICT_CHK) demands;
 * with it the kernel applies the filters, without it the caller also gets objects that the filters exclude.
 */
import { type Family, familyOf } from '../../../lib/cidr.ts';
import { NLM_F_DUMP, NLM_F_REQUEST } from '../constants.ts';
import type { MessageWriter } from '../message-writer.ts';
import type { WriteRequest } from '../write-request.ts';
import { AF, IFLA, IFLA_INFO, RTA, RTEXT_FILTER_SKIP_STATS, RTM } from './constants.ts';
import { invalid } from './refusal.ts';

/** Asks for all links, or for those of one driver such as `vxlan`. */
export function linkDump(kind?: string): WriteRequest {
  return dumpRequest(RTM.GETLINK, (writer) => {
    writeLinkHeader(writer);
    if (kind === undefined) return;
    const info = writer.openNested(IFLA.LINKINFO);
    writer.attributeText(IFLA_INFO.KIND, kind);
    writer.closeAttribute(info);
  });
}

/** Asks for one link by name. The kernel answers with the link, or ENODEV. */
export function linkQuery(name: string): WriteRequest {
  return (writer, sequence) => {
    writer.begin(RTM.GETLINK, NLM_F_REQUEST, sequence);
    writeLinkHeader(writer);
    writer.attributeText(IFLA.IFNAME, name);
    writer.end();
    return undefined;
  };
}

/** Asks for the addresses of a family, or of both (struct ifaddrmsg, 8 bytes). */
export function addressDump(family?: Family): WriteRequest {
  return dumpRequest(RTM.GETADDR, (writer) => writeFamily(writer, family).u32(0));
}

export interface RouteFilter {
  readonly table: number;
  /** Protocol number (linux/rtnetlink.h RTPROT_*). */
  readonly protocol?: number;
}

/** Asks for the routes of a family (struct rtmsg, 12 bytes). */
export function routeDump(family: Family, { table, protocol = 0 }: RouteFilter): WriteRequest {
  return dumpRequest(RTM.GETROUTE, (writer) => {
    writeFamily(writer, family).u8(0).u8(protocol).u16(0).u32(0);
    // An attribute has room for table numbers above 255.
    writer.attributeU32(RTA.TABLE, table);
  });
}

/**
 * Asks for the route that packets to an address take. The kernel answers with a route to the address, or with an error
 * such as ENETUNREACH. With strict checking, IPv6 refuses the flag with which iproute2 asks for the table.
 */
export function routeQuery(address: string): WriteRequest {
  return (writer, sequence) => {
    const family = familyOf(address);
    writer.begin(RTM.GETROUTE, NLM_F_REQUEST, sequence);
    writer
      .u8(familyNumber(family))
      .u8(family === 4 ? 32 : 128)
      .u16(0)
      .u32(0)
      .u32(0);
    if (writer.attributeAddress(RTA.DST, address) === 0) {
      writer.drop();
      return invalid('address', address);
    }
    writer.end();
    return undefined;
  };
}

/** Asks for the neighbours of a family (struct ndmsg, 12 bytes). */
export function neighbourDump(family: Family): WriteRequest {
  return dumpRequest(RTM.GETNEIGH, (writer) => writeFamily(writer, family).u32(0).u32(0));
}

/** Asks for the forwarding entries of a device (struct ndmsg, 12 bytes). */
export function forwardingDump(deviceIndex: number): WriteRequest {
  return dumpRequest(RTM.GETNEIGH, (writer) => writer.u8(AF.BRIDGE).u8(0).u16(0).u32(deviceIndex).u32(0));
}

/** Asks for the policy rules of a family, or of all (struct fib_rule_hdr, 12 bytes). */
export function ruleDump(family?: Family): WriteRequest {
  return dumpRequest(RTM.GETRULE, (writer) => writeFamily(writer, family).u32(0).u32(0));
}

/** Asks for all next-hop objects (struct nhmsg, 8 bytes). */
export function nextHopDump(): WriteRequest {
  return dumpRequest(RTM.GETNEXTHOP, (writer) => writer.u32(AF.UNSPEC).u32(0));
}

function dumpRequest(type: number, write: (writer: MessageWriter) => void): WriteRequest {
  return (writer, sequence) => {
    writer.begin(type, NLM_F_REQUEST | NLM_F_DUMP, sequence);
    write(writer);
    writer.end();
    return undefined;
  };
}

/** Writes struct ifinfomsg, 16 bytes, and leaves statistics out of the answer. */
function writeLinkHeader(writer: MessageWriter): void {
  writer.u32(AF.UNSPEC).u32(0).u32(0).u32(0);
  writer.attributeU32(IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

/** Writes the first four bytes of a header: the family and three bytes of zero. */
function writeFamily(writer: MessageWriter, family: Family | undefined): MessageWriter {
  return writer
    .u8(family === undefined ? AF.UNSPEC : familyNumber(family))
    .u8(0)
    .u16(0);
}

function familyNumber(family: Family): number {
  return family === 4 ? AF.INET : AF.INET6;
}
