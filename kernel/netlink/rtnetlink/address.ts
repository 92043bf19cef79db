/**
 * Addresses of interfaces (struct ifaddrmsg, linux/if_addr.h):
 *
 *     family u8 | prefix length u8 | flags u8 | scope u8 | interface index u32
 */
import type { Family } from '../../../lib/cidr.ts';
import type { AddressChange } from '../../change.ts';
import type { InterfaceAddress } from '../../port.ts';
import { readAttributes } from '../attributes.ts';
import { readU32 } from '../bytes.ts';
import { isMalformed, type Malformed } from '../message.ts';
import type { MessageWriter } from '../message-writer.ts';
import type { Refusal } from '../write-request.ts';
import { AF, IFA, IFA_F, RT_SCOPE, RTM } from './constants.ts';
import { prefixLength, requestFlags } from './encode-route.ts';
import { type DeviceName, deviceName, familyOfNumber, prefixOf } from './fields.ts';
import { type DeviceIndex, invalid, noDevice } from './refusal.ts';

export interface AddressRecord {
  readonly family: Family;
  readonly deviceIndex: number;
  /** RT_SCOPE_*. */
  readonly scope: number;
  readonly address: InterfaceAddress;
}

const HEADER_LENGTH = 8;
const FOREVER = 0xffffffff;

/** Appends a message. Returns why that is impossible, and then appends nothing. */
export function encodeAddress(
  writer: MessageWriter,
  { verb, cidr, device, isLinkScope, hasNoDad, isDeprecated }: AddressChange,
  sequence: number,
  deviceIndex: DeviceIndex,
): Refusal | undefined {
  const slash = cidr.indexOf('/');
  const end = slash < 0 ? cidr.length : slash;
  const length = prefixLength(cidr, slash);
  const index = deviceIndex(device);
  if (index === undefined) return noDevice(device);
  writer.begin(verb === 'del' ? RTM.DELADDR : RTM.NEWADDR, requestFlags[verb], sequence);
  writer
    .u8(cidr.includes(':') ? AF.INET6 : AF.INET)
    .u8(length)
    .u8(hasNoDad ? IFA_F.NODAD : 0)
    .u8(isLinkScope ? RT_SCOPE.LINK : cidr.startsWith('127.') && verb === 'add' ? RT_SCOPE.HOST : 0)
    .u32(index);
  const size = writer.attributeAddress(IFA.LOCAL, cidr, end);
  if (size === 0 || length < 0 || length > size * 8) {
    writer.drop();
    return invalid('address', cidr);
  }
  writer.attributeAddress(IFA.ADDRESS, cidr, end);
  if (isDeprecated) writeLifetimes(writer, 0);
  writer.end();
  return undefined;
}

/** Writes struct ifa_cacheinfo: preferred u32 | valid u32 | created u32 | updated u32, in seconds. */
function writeLifetimes(writer: MessageWriter, preferred: number): void {
  const at = writer.openAttribute(IFA.CACHEINFO);
  writer.u32(preferred).u32(FOREVER).u32(0).u32(0);
  writer.closeAttribute(at);
}

/** Decodes the body of RTM_NEWADDR or RTM_DELADDR. Undefined for a family other than IPv4 and IPv6. */
export function decodeAddress(body: Uint8Array, nameOf: DeviceName): AddressRecord | Malformed | undefined {
  const attributes = readAttributes(body, HEADER_LENGTH);
  if (isMalformed(attributes)) return attributes;
  const family = familyOfNumber(body[0]);
  if (family === undefined) return undefined;
  // On a point-to-point link, IFA_ADDRESS is the address of the other end.
  const length = body[1] ?? 0;
  const cidr =
    prefixOf(attributes, IFA.LOCAL, length, family) ?? prefixOf(attributes, IFA.ADDRESS, length, family);
  if (cidr === undefined) return { malformed: 'address of an interface' };
  const deviceIndex = readU32(body, 4);
  const scope = body[3] ?? 0;
  const flags = attributes.u32(IFA.FLAGS) ?? body[2] ?? 0;
  const isTemporary = family === 6 && (flags & IFA_F.TEMPORARY) !== 0;
  return {
    family,
    deviceIndex,
    scope,
    address: {
      device: deviceName(deviceIndex, nameOf),
      cidr,
      ...(scope === RT_SCOPE.LINK ? { isLinkScope: true } : {}),
      ...((flags & (IFA_F.TENTATIVE | IFA_F.DADFAILED)) !== 0 ? { isTentative: true } : {}),
      ...(isTemporary || (flags & IFA_F.DEPRECATED) !== 0 ? { isFleeting: true } : {}),
    },
  };
}
