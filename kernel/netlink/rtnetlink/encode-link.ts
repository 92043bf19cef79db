/**
 * Encodes changes of links (struct ifinfomsg, linux/rtnetlink.h):
 *
 *     family u8 | padding u8 | hardware type u16 | index i32 | flags u32 | flags to change u32
 *
 * An existing link is found by name in the kernel, so that an index of an earlier link of this name does no harm.
 */
import type { LinkAddition, LinkChange, LinkUpdate, VethPeer } from '../../change.ts';
import type { MessageWriter } from '../message-writer.ts';
import type { Refusal } from '../write-request.ts';
import { AF, IFF_UP, IFLA, IFLA_INFO, IFLA_VXLAN, RTM, VETH_INFO_PEER } from './constants.ts';
import { requestFlags } from './encode-route.ts';
import { invalid } from './refusal.ts';

/** Returns the open file descriptor of a network namespace's file; undefined if it cannot be opened. */
export type NamespaceFd = (path: string) => number | undefined;

/** Appends a message. Returns why that is impossible, and then appends nothing. */
export function encodeLink(
  writer: MessageWriter,
  change: LinkChange,
  sequence: number,
  namespaceFd: NamespaceFd,
): Refusal | undefined {
  if (!isDeviceName(change.name)) return invalid('name', change.name);
  writer.begin(change.verb === 'del' ? RTM.DELLINK : RTM.NEWLINK, requestFlags[change.verb], sequence);
  const refusal = writeLink(writer, change, namespaceFd);
  if (refusal) writer.drop();
  else writer.end();
  return refusal;
}

function writeLink(writer: MessageWriter, change: LinkChange, namespaceFd: NamespaceFd): Refusal | undefined {
  const isUp = change.verb === 'set' ? change.isUp : undefined;
  const index = change.verb === 'add' ? (change.index ?? 0) : 0;
  writeHeader(writer, index, isUp ? IFF_UP : 0, isUp === undefined ? 0 : IFF_UP);
  writer.attributeText(IFLA.IFNAME, change.name);
  if (change.verb === 'del') return undefined;
  const refusal = writeProperties(writer, change);
  return refusal ?? (change.verb === 'add' ? writeKind(writer, change.kind, namespaceFd) : undefined);
}

function writeHeader(writer: MessageWriter, index: number, flags: number, changed: number): void {
  writer.u32(AF.UNSPEC).u32(index).u32(flags).u32(changed);
}

function writeProperties(
  writer: MessageWriter,
  { mac, mtu }: Pick<LinkAddition | LinkUpdate, 'mac' | 'mtu'>,
): Refusal | undefined {
  if (mac !== undefined && !writer.attributeMac(IFLA.ADDRESS, mac)) return invalid('address', mac);
  if (mtu !== undefined) writer.attributeU32(IFLA.MTU, mtu);
  return undefined;
}

function writeKind(
  writer: MessageWriter,
  kind: LinkAddition['kind'],
  namespaceFd: NamespaceFd,
): Refusal | undefined {
  const info = writer.openAttribute(IFLA.LINKINFO);
  // Without NUL, as iproute2 does.
  writer.attribute(IFLA_INFO.KIND, kindBytes[kind.type]);
  if (kind.type !== 'ipip') {
    const data = writer.openAttribute(IFLA_INFO.DATA);
    const refusal =
      kind.type === 'vxlan' ? writeVxlan(writer, kind) : writePeer(writer, kind.peer, namespaceFd);
    if (refusal) return refusal;
    writer.closeAttribute(data);
  }
  writer.closeAttribute(info);
  return undefined;
}

function writeVxlan(
  writer: MessageWriter,
  { vni, port, local }: { readonly vni: number; readonly port: number; readonly local: string },
): Refusal | undefined {
  writer.attributeU32(IFLA_VXLAN.ID, vni);
  const type = local.includes(':') ? IFLA_VXLAN.LOCAL6 : IFLA_VXLAN.LOCAL;
  if (writer.attributeAddress(type, local) === 0) return invalid('address', local);
  writer.attributeU8(IFLA_VXLAN.LEARNING, 0);
  writer.attributeU16Be(IFLA_VXLAN.PORT, port);
  return undefined;
}

/** Writes the other end of a veth pair: a link message of its own, in another namespace. */
function writePeer(
  writer: MessageWriter,
  { name, index = 0, mac, mtu, netns }: VethPeer,
  namespaceFd: NamespaceFd,
): Refusal | undefined {
  if (!isDeviceName(name)) return invalid('name', name);
  const fd = namespaceFd(netns);
  if (fd === undefined) return { code: 'ENOENT', message: `Cannot open network namespace "${netns}"` };
  const peer = writer.openAttribute(VETH_INFO_PEER);
  writeHeader(writer, index, 0, 0);
  const refusal = writeProperties(writer, { mac, mtu });
  writer.attributeU32(IFLA.NET_NS_FD, fd);
  writer.attributeText(IFLA.IFNAME, name);
  writer.closeAttribute(peer);
  return refusal;
}

const encoder = new TextEncoder();
const kindBytes = {
  ipip: encoder.encode('ipip'),
  vxlan: encoder.encode('vxlan'),
  veth: encoder.encode('veth'),
} as const;

/** Whether a text can be an interface's name: at most 15 characters, none that the kernel refuses. */
function isDeviceName(name: string): boolean {
  return /^[!-.0-9;-~]{1,15}$/.test(name) && name !== '.' && name !== '..';
}
