/**
 * Returns the kernel's state from a copy that notifications keep current (mirror.ts), or from a dump while no monitor is
 * open or the copy is not certain.
 */
import type { Family } from '../../lib/cidr.ts';
import type { Log } from '../../lib/log.ts';
import { Mutex } from '../../lib/mutex.ts';
import type { KernelEvent, KernelState } from '../port.ts';
import { NLM_F_REPLACE } from './constants.ts';
import { KernelEvents } from './events.ts';
import { isMalformed, type Malformed, type Message } from './message.ts';
import { type Change, Mirror } from './mirror.ts';
import type { NotificationOptions } from './notifications.ts';
import { Observer, readLinks } from './observe.ts';
import { decodeNotification, type Notification } from './rtnetlink/notification.ts';
import type { Sockets } from './sockets.ts';

/** Changes that are kept while a dump is read. */
const MAX_HELD = 100_000;

export class MirroredObserver {
  readonly #sockets: Sockets;
  readonly #families: readonly Family[];
  readonly #observer: Observer;
  readonly #mutex = new Mutex();
  #mirror = new Mirror();
  #events: KernelEvents | undefined;
  /** Changes since the start of the dump that is being read. */
  #held: Change[] | undefined;
  /** Whether the effect of something since the start of that dump is unknown. */
  #isHeldUnclear = false;
  #missed = 0;

  /** `families`: all that the kernel supports. */
  constructor(sockets: Sockets, families: readonly Family[]) {
    this.#sockets = sockets;
    this.#families = families;
    this.#observer = new Observer(sockets);
  }

  /** Number of objects of which dumps differed from the copy although it was certain. */
  get missed(): number {
    return this.#missed;
  }

  /** See Kernel.observe. Throws CodedError NETLINK. */
  observe(families: readonly Family[], isFull: boolean): Promise<KernelState> {
    if (!this.#events) return this.#observer.observe(families);
    return this.#mutex.run(async () => {
      const events = this.#events;
      if (!events) return this.#observer.observe(families);
      if (!events.drain()) this.doubt();
      if (isFull || !this.#mirror.isCertain) await this.#load(events);
      return this.#mirror.state(families);
    });
  }

  /** See Kernel.watch. The first monitor keeps the copy. */
  watch(hint: (event: KernelEvent) => void, log: Log, options: NotificationOptions): { close(): void } {
    if (this.#events) return new KernelEvents(hint, namesOnly(), log, options);
    this.#mirror = new Mirror();
    const follower = { follow: (message: Message) => this.#follow(message), lost: () => this.doubt() };
    const events = new KernelEvents(hint, follower, log, options);
    this.#events = events;
    return {
      close: () => {
        if (this.#events === events) this.#events = undefined;
        events.close();
      },
    };
  }

  /** The copy may be wrong: the next observation reads the kernel. */
  doubt(): void {
    this.#mirror.doubt();
    this.#isHeldUnclear = true;
  }

  async #load(events: KernelEvents): Promise<void> {
    const mirror = this.#mirror;
    this.#held = [];
    this.#isHeldUnclear = false;
    try {
      if (!mirror.isLoaded) mirror.learnNames(await readLinks(this.#sockets));
      const dump = await this.#observer.observe(this.#families);
      if (!events.drain()) this.doubt();
      this.#missed += mirror.load(dump, this.#held);
      if (this.#isHeldUnclear) mirror.doubt();
    } catch (error) {
      mirror.doubt();
      throw error;
    } finally {
      this.#held = undefined;
    }
  }

  #follow(message: Message): Notification | Malformed | undefined {
    let isKnown = true;
    const notification = decodeNotification(message, (index) => {
      const name = this.#mirror.nameOf(index);
      isKnown &&= name !== undefined;
      return name;
    });
    if (!notification) return notification;
    if (isMalformed(notification)) {
      this.doubt();
      return notification;
    }
    // What is gone is not in the copy under another name.
    if (!isKnown && !notification.isGone) {
      this.doubt();
      return notification;
    }
    const change = { notification, isReplaced: (message.flags & NLM_F_REPLACE) !== 0 };
    if (this.#held) this.#hold(this.#held, change);
    else this.#mirror.apply(change);
    return notification;
  }

  #hold(held: Change[], change: Change): void {
    const { notification } = change;
    // Later messages use the name.
    if (notification.object === 'link' && !notification.isGone)
      this.#mirror.learnNames([notification.value.link]);
    if (held.length < MAX_HELD) held.push(change);
    else this.doubt();
  }
}

/** Follows the names of interfaces, as far as notifications mention them. Bounded by the interfaces that exist. */
function namesOnly() {
  const names = new Map<number, string>();
  return {
    follow(message: Message) {
      const notification = decodeNotification(message, (index) => names.get(index));
      if (notification && !isMalformed(notification) && notification.object === 'link') {
        const { index, name } = notification.value.link;
        if (notification.isGone) names.delete(index);
        else names.set(index, name);
      }
      return notification;
    },
    lost() {},
  };
}
