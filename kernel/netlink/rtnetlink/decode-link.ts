/** Decodes links (struct ifinfomsg, linux/rtnetlink.h). */
import type { Link, VxlanState } from '../../port.ts';
import { type Attributes, readAttributes } from '../attributes.ts';
import { readU16, readU16Be, readU32 } from '../bytes.ts';
import { isMalformed, type Malformed } from '../message.ts';
import { AF, IFF_UP, IFLA, IFLA_INFO, IFLA_VXLAN } from './constants.ts';
import { anyAddress, linkAddress } from './fields.ts';

export interface LinkRecord {
  readonly link: Link;
  /** Driver, such as `veth` or `vxlan`; undefined for a physical interface. */
  readonly kind?: string;
  /** Properties of a VXLAN device. */
  readonly vxlan?: VxlanState;
}

const HEADER_LENGTH = 16;

/**
 * Decodes the body of RTM_NEWLINK or RTM_DELLINK. Undefined for a message that does not describe a link: a bridge
 * reports its ports with these types (AF_BRIDGE), and a wireless device its events, without an MTU.
 */
export function decodeLink(body: Uint8Array): LinkRecord | Malformed | undefined {
  const attributes = readAttributes(body, HEADER_LENGTH);
  if (isMalformed(attributes)) return attributes;
  const name = attributes.text(IFLA.IFNAME);
  const mtu = attributes.u32(IFLA.MTU);
  if (body[0] !== AF.UNSPEC || name === undefined || mtu === undefined) return undefined;
  const info = attributes.nested(IFLA.LINKINFO);
  if (info && isMalformed(info)) return info;
  const kind = info?.text(IFLA_INFO.KIND);
  const data = kind === 'vxlan' ? info?.nested(IFLA_INFO.DATA) : undefined;
  if (data && isMalformed(data)) return data;
  const mac = attributes.bytes(IFLA.ADDRESS);
  return {
    link: {
      index: readU32(body, 4),
      name,
      isUp: (readU32(body, 8) & IFF_UP) !== 0,
      mac: mac ? linkAddress(mac, readU16(body, 2)) : '',
      mtu,
    },
    ...(kind === undefined ? {} : { kind }),
    ...(data ? { vxlan: vxlanOf(data) } : {}),
  };
}

function vxlanOf(data: Attributes): VxlanState {
  const port = data.bytes(IFLA_VXLAN.PORT);
  return {
    vni: data.u32(IFLA_VXLAN.ID) ?? 0,
    port: port ? readU16Be(port, 0) : 0,
    local: anyAddress(data.bytes(IFLA_VXLAN.LOCAL)) ?? anyAddress(data.bytes(IFLA_VXLAN.LOCAL6)) ?? '',
  };
}
