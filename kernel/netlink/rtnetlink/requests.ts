/**
 * Requests that read. Their headers have the complete layout that strict checking (NETLINK_GET_STRICT_CHK) demands;
 * with it the kernel applies the filters, without it the caller gets objects that the filters exclude as well.
 */
import { type Family, familyOf } from '../../../lib/cidr.ts';
import { NLM_F_DUMP, NLM_F_REQUEST } from '../constants.ts';
import type { MessageWriter } from '../message-writer.ts';
import { AF, IFLA, IFLA_INFO, RTA, RTEXT_FILTER_SKIP_STATS, RTM, RTM_F } from './constants.ts';

const DUMP = NLM_F_REQUEST | NLM_F_DUMP;

/** Appends a request for all links, or for those of one driver such as `vxlan`. */
export function requestLinks(writer: MessageWriter, sequence: number, kind?: string): void {
  writer.begin(RTM.GETLINK, DUMP, sequence);
  writeLinkHeader(writer);
  if (kind !== undefined) {
    const info = writer.openNested(IFLA.LINKINFO);
    writer.attributeText(IFLA_INFO.KIND, kind);
    writer.closeAttribute(info);
  }
  writer.end();
}

/** Appends a request for one link by name. The kernel answers with the link, or ENODEV. */
export function requestLink(writer: MessageWriter, sequence: number, name: string): void {
  writer.begin(RTM.GETLINK, NLM_F_REQUEST, sequence);
  writeLinkHeader(writer);
  writer.attributeText(IFLA.IFNAME, name);
  writer.end();
}

/** Writes struct ifinfomsg, 16 bytes, and the filter of attributes. */
function writeLinkHeader(writer: MessageWriter): void {
  writer.u32(AF.UNSPEC).u32(0).u32(0).u32(0);
  writer.attributeU32(IFLA.EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

/** Appends a request for the addresses of a family, or of both. */
export function requestAddresses(writer: MessageWriter, sequence: number, family?: Family): void {
  writer.begin(RTM.GETADDR, DUMP, sequence);
  // struct ifaddrmsg, 8 bytes.
  writeFamily(writer, family).u32(0);
  writer.end();
}

export interface RouteFilter {
  readonly table: number;
  readonly protocol?: number;
}

/** Appends a request for the routes of a family. */
export function requestRoutes(
  writer: MessageWriter,
  sequence: number,
  family: Family,
  { table, protocol = 0 }: RouteFilter,
): void {
  writer.begin(RTM.GETROUTE, DUMP, sequence);
  // struct rtmsg, 12 bytes: the table is in an attribute, which has room for numbers above 255.
  writeFamily(writer, family).u8(0).u8(protocol).u16(0).u32(0);
  writer.attributeU32(RTA.TABLE, table);
  writer.end();
}

/**
 * Appends a request for the route that packets to an address take. Returns false, and appends nothing, for text that is
 * no address. The kernel answers with a route to the address, or with an error such as ENETUNREACH.
 */
export function requestRouteTo(writer: MessageWriter, sequence: number, address: string): boolean {
  const family = familyOf(address);
  writer.begin(RTM.GETROUTE, NLM_F_REQUEST, sequence);
  writer
    .u8(familyNumber(family))
    .u8(family === 4 ? 32 : 128)
    .u16(0)
    .u32(0)
    .u32(RTM_F.LOOKUP_TABLE);
  const isAddress = writer.attributeAddress(RTA.DST, address) > 0;
  if (isAddress) writer.end();
  else writer.drop();
  return isAddress;
}

/** Appends a request for the neighbours of a family. */
export function requestNeighbours(writer: MessageWriter, sequence: number, family: Family): void {
  writer.begin(RTM.GETNEIGH, DUMP, sequence);
  // struct ndmsg, 12 bytes.
  writeFamily(writer, family).u32(0).u32(0);
  writer.end();
}

/** Appends a request for the forwarding entries of a device (struct ndmsg, 12 bytes). */
export function requestForwarding(writer: MessageWriter, sequence: number, deviceIndex: number): void {
  writer.begin(RTM.GETNEIGH, DUMP, sequence);
  writer.u8(AF.BRIDGE).u8(0).u16(0).u32(deviceIndex).u32(0);
  writer.end();
}

/** Appends a request for the policy rules of a family, or of all (struct fib_rule_hdr, 12 bytes). */
export function requestRules(writer: MessageWriter, sequence: number, family?: Family): void {
  writer.begin(RTM.GETRULE, DUMP, sequence);
  writeFamily(writer, family).u32(0).u32(0);
  writer.end();
}

/** Appends a request for all next-hop objects (struct nhmsg, 8 bytes). */
export function requestNextHops(writer: MessageWriter, sequence: number): void {
  writer.begin(RTM.GETNEXTHOP, DUMP, sequence);
  writer.u32(AF.UNSPEC).u32(0);
  writer.end();
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
