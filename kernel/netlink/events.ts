/** Kernel notifications as hints to observe again. Only a dump is trusted, not the content of a notification. */
import type { Log } from '../../lib/log.ts';
import type { KernelEvent } from '../port.ts';
import { isMalformed, type Malformed, type Message } from './message.ts';
import { type NotificationOptions, Notifications } from './notifications.ts';
import { isInMainTable } from './rtnetlink/decode-route.ts';
import { decodeNotification, type Notification } from './rtnetlink/notification.ts';

/** Notifications were lost: anything may have changed. */
const LOST: KernelEvent = { isAddress: false, isRelevant: true };
/** Interfaces whose neighbours are ours. */
const OWN_DEVICE = /^(cali[0-9a-f]{11}|vxlan)/;
/** An interface that no notification has mentioned yet. */
const UNKNOWN_DEVICE = /^if\d+$/;

export class KernelEvents {
  readonly #notifications: Notifications;
  /** Names of interfaces by index, as far as notifications mentioned them. Bounded by the interfaces that exist. */
  readonly #names = new Map<number, string>();

  /** Calls `hint` on every event until `close`. Throws CodedError NETLINK, CONFIG without koffi. */
  constructor(hint: (event: KernelEvent) => void, log: Log, options: NotificationOptions = {}) {
    const handler = {
      message: (message: Message) => {
        const event = this.#eventOf(message);
        if (event) hint(event);
      },
      lost: () => {
        log.debug({}, 'kernel notifications were lost: reading the kernel again');
        hint(LOST);
      },
    };
    this.#notifications = new Notifications(handler, options);
  }

  close(): void {
    this.#notifications.close();
  }

  #eventOf(message: Message): KernelEvent | undefined {
    const notification = decodeNotification(message, (index) => this.#names.get(index));
    if (notification && !isMalformed(notification) && notification.object === 'link') {
      const { index, name } = notification.value.link;
      if (notification.isGone) this.#names.delete(index);
      else this.#names.set(index, name);
    }
    return eventOf(notification);
  }
}

/** Returns what a notification means for an observer; undefined if it concerns nothing that `observe` returns. */
export function eventOf(notification: Notification | Malformed | undefined): KernelEvent | undefined {
  if (!notification) return undefined;
  if (isMalformed(notification)) return LOST;
  switch (notification.object) {
    case 'link':
      return { link: notification.value.link.name, isAddress: false, isRelevant: true };
    case 'address':
      // Link-local addresses are ignored, because every new pod causes some.
      return { isAddress: !notification.value.address.cidr.startsWith('fe80:'), isRelevant: true };
    case 'route':
      return isInMainTable(notification.value) ? { isAddress: false, isRelevant: true } : undefined;
    case 'neighbour':
    case 'forwarding': {
      // Learned neighbours are not ours. A deleted permanent entry is no longer marked as permanent.
      const { isPermanent, device } = notification.value;
      const mayBeOurs = notification.isGone && (OWN_DEVICE.test(device) || UNKNOWN_DEVICE.test(device));
      return isPermanent || mayBeOurs ? { isAddress: false, isRelevant: true } : undefined;
    }
    default:
      return undefined;
  }
}
