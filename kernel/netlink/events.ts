/** Kernel notifications as hints to observe again. Their content reaches only the copy of the kernel's state. */
import type { Log } from '../../lib/log.ts';
import type { KernelEvent } from '../port.ts';
import { isMalformed, type Malformed, type Message } from './message.ts';
import { type NotificationOptions, Notifications } from './notifications.ts';
import { isInMainTable } from './rtnetlink/decode-route.ts';
import type { Notification } from './rtnetlink/notification.ts';

/** Notifications were lost: anything may have changed. */
const LOST: KernelEvent = { isAddress: false, isRelevant: true };
/** Interfaces whose neighbours are ours. */
const OWN_DEVICE = /^(cali[0-9a-f]{11}|vxlan)/;
/** An interface that no notification has mentioned yet. */
const UNKNOWN_DEVICE = /^if\d+$/;

/** Keeps a copy of the kernel's state by its notifications. */
export interface Follower {
  /** Returns what a message says; undefined if it concerns nothing that anybody needs. */
  follow(message: Message): Notification | Malformed | undefined;
  /** Notifications were lost. */
  lost(): void;
}

export class KernelEvents {
  readonly #notifications: Notifications;

  /**
   * Calls `hint` on every event until `close`, after `follower` has received it. Throws CodedError NETLINK, CONFIG
   * without koffi.
   */
  constructor(
    hint: (event: KernelEvent) => void,
    follower: Follower,
    log: Log,
    options: NotificationOptions = {},
  ) {
    const handler = {
      message: (message: Message) => {
        const event = eventOf(follower.follow(message));
        if (event) hint(event);
      },
      lost: () => {
        log.debug({}, 'kernel notifications were lost: reading the kernel again');
        follower.lost();
        hint(LOST);
      },
    };
    this.#notifications = new Notifications(handler, options);
  }

  /** See Notifications.drain. */
  drain(): boolean {
    return this.#notifications.drain();
  }

  close(): void {
    this.#notifications.close();
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
      return isInMainTable(notification.value)
        ? { isAddress: false, isRouteGone: notification.isGone, isRelevant: true }
        : undefined;
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
