/** Mutated netlink datagrams: real messages of the kernel, cut, joined and changed, through every decoder. */
import { decodeAcknowledgement } from '../../kernel/netlink/acknowledgement.ts';
import { isMalformed, type Message, readMessages } from '../../kernel/netlink/message.ts';
import { decodeConnection } from '../../kernel/netlink/nfnetlink/connection.ts';
import { decodeNotification, type Notification } from '../../kernel/netlink/rtnetlink/notification.ts';
import { canonicalCidr, parseAddress, parseCidr } from '../../lib/cidr.ts';
import { hex } from '../helpers/netlink.ts';
import { connections } from '../unit/kernel/netlink/captured-connections.cases.ts';
import {
  addresses,
  forwarding,
  links,
  neighbours,
  nextHops,
  rules,
} from '../unit/kernel/netlink/captured-dumps.cases.ts';
import { routes } from '../unit/kernel/netlink/captured-routes.cases.ts';
import type { Random } from './random.ts';

const captured = [
  ...[routes, addresses, links, neighbours, forwarding, rules, nextHops].flatMap((list) =>
    list.map(([message]) => hex(message)),
  ),
  ...connections.map(([, message]) => hex(message)),
  // -ENODEV with an explanation.
  hex(
    '3c000000 02000002 05000000 07000000 edffffff 14000000 18000500 05000000 00000000 14000100 4e6f2073 75636820 64657669 63650000',
  ),
];

/** Values that lengths and counts break at. */
const EDGES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 0x7f, 0x80, 0xff];

/** Returns a datagram of one to three messages, most of them changed. */
export function netlinkDatagram(random: Random): Uint8Array {
  if (random.once(20)) return random.fill(new Uint8Array(random.below(200)));
  const parts = Array.from({ length: 1 + random.below(3) }, () => random.pick(captured));
  const bytes = new Uint8Array(Buffer.concat(parts));
  for (let changes = random.below(5); changes > 0; changes--)
    bytes[random.below(bytes.length)] = random.once(2) ? random.pick(EDGES) : random.below(256);
  return random.once(4) ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes;
}

/** Decodes a datagram in every way. Returns whether it is one. Throws only on a fault in our code. */
export function tryNetlink(bytes: Uint8Array): boolean {
  const messages = readMessages(bytes);
  if (isMalformed(messages)) return false;
  if (messages.length * 16 > bytes.length)
    throw new Error(`${messages.length} messages in ${bytes.length} bytes`);
  for (const message of messages) tryMessage(message);
  return true;
}

function tryMessage(message: Message): void {
  decodeAcknowledgement(message);
  const connection = decodeConnection(message);
  if (connection && !isMalformed(connection))
    for (const { source, destination } of [connection.original, connection.reply])
      for (const address of [source, destination]) demand(parseAddress(address), `address ${address}`);
  const notification = decodeNotification(message, () => undefined);
  if (notification && !isMalformed(notification)) checkNotification(notification, message.body.length);
}

/** What is decoded must be usable: addresses and prefixes in their canonical form, and no more of them than bytes. */
function checkNotification(notification: Notification, length: number): void {
  switch (notification.object) {
    case 'route': {
      const { destination, hops } = notification.value.route;
      demand(parseCidr(destination), `destination ${destination}`);
      demand(hops.length * 8 <= length || hops.length === 1, `${hops.length} next hops`);
      for (const { gateway } of hops)
        demand(gateway === undefined || parseAddress(gateway), `gateway ${gateway}`);
      return;
    }
    case 'address': {
      const { cidr } = notification.value.address;
      demand(canonicalCidr(cidr), `address ${cidr}`);
      return;
    }
    case 'neighbour':
      demand(parseAddress(notification.value.address), `neighbour ${notification.value.address}`);
      return;
    case 'rule': {
      const { source, destination } = notification.value;
      for (const prefix of [source, destination])
        demand(prefix === undefined || parseCidr(prefix), `prefix ${prefix}`);
      return;
    }
    case 'link':
    case 'forwarding':
    case 'next hop':
      return;
  }
}

function demand(condition: unknown, what: string): void {
  if (!condition) throw new Error(`${what} was decoded`);
}
