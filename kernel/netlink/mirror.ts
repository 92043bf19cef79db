/**
 * A copy of links, addresses, main-table routes and permanent neighbours, kept current by notifications. Pure. The
 * kernel does not notify of everything: when it is unclear what the kernel holds, `isCertain` becomes false, and a dump
 * must be loaded.
 */
import { type Family, familyOf } from '../../lib/cidr.ts';
import type { KernelRoute } from '../../model/route.ts';
import type { InterfaceAddress, KernelState, Link, Neighbour } from '../port.ts';
import { MirrorRows } from './mirror-rows.ts';
import { RouteMirror } from './route-mirror.ts';
import { isInMainTable, type RouteRecord } from './rtnetlink/decode-route.ts';
import type { DeviceName } from './rtnetlink/fields.ts';
import type { NeighbourRecord } from './rtnetlink/neighbour.ts';
import type { Notification } from './rtnetlink/notification.ts';

/** A notification, and whether it says that the object took the place of another (NLM_F_REPLACE). */
export interface Change {
  readonly notification: Notification;
  readonly isReplaced: boolean;
}

export class Mirror {
  readonly #routes = new RouteMirror();
  readonly #links = new MirrorRows<Link>(({ name }) => name);
  readonly #addresses = new MirrorRows<InterfaceAddress>(({ device, cidr }) => `${device} ${cidr}`);
  readonly #neighbours = new MirrorRows<Neighbour>(({ device, address }) => `${device} ${address}`);
  readonly #names = new Map<number, string>();
  #list: readonly KernelRoute[] | undefined;
  #isCertain = false;
  #isLoaded = false;

  /** Whether there was a dump. */
  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** Whether the copy equals the kernel's state once all notifications were read. */
  get isCertain(): boolean {
    return this.#isCertain && this.#routes.isCertain;
  }

  /** Names of interfaces by index. */
  readonly nameOf: DeviceName = (index) => this.#names.get(index);

  /** Something happened whose effect is unknown. */
  doubt(): void {
    this.#isCertain = false;
  }

  /** Adds names of interfaces, while there is no dump yet. */
  learnNames(links: Iterable<Link>): void {
    for (const { index, name } of links) this.#names.set(index, name);
  }

  /**
   * Replaces everything by a dump, then applies what was notified while it was read. Returns the number of objects that
   * differed for another reason: notifications missed them.
   */
  load(dump: KernelState, meanwhile: readonly Change[]): number {
    const wasCertain = this.isCertain;
    this.#routes.takeChanged();
    this.#routes.load(dump.routes);
    const routes = this.#routes.takeChanged();
    const others =
      this.#links.load(dump.links.values()) +
      this.#addresses.load(dump.addresses) +
      this.#neighbours.load(dump.neighbours);
    this.#names.clear();
    this.learnNames(dump.links.values());
    this.#list = undefined;
    this.#isCertain = true;
    this.#isLoaded = true;
    for (const change of meanwhile) this.apply(change);
    if (!wasCertain || meanwhile.length > 0) return 0;
    return routes.size + others;
  }

  apply({ notification, isReplaced }: Change): void {
    const { isGone } = notification;
    if (notification.object === 'link') this.#applyLink(notification.value.link, isGone);
    else if (notification.object === 'address') this.#applyAddress(notification.value.address, isGone);
    else if (notification.object === 'route') this.#applyRoute(notification.value, isGone, isReplaced);
    else if (notification.object === 'neighbour') this.#applyNeighbour(notification.value, isGone);
    // The routes that use a next-hop object change without notifications.
    else if (notification.object === 'next hop' && (isGone || isReplaced)) this.doubt();
  }

  /** Returns what a dump of the families would return. Later notifications do not change it. */
  state(families: readonly Family[]): KernelState {
    this.#list ??= [...this.#routes.all.values()].flatMap(inOrder);
    const of = (text: string) => families.includes(familyOf(text));
    const isAll = families.length > 1;
    return {
      links: this.#links.all,
      routes: isAll ? this.#list : this.#list.filter(({ destination }) => of(destination)),
      addresses: this.#addresses.list.filter(({ cidr }) => of(cidr)),
      neighbours: this.#neighbours.list.filter(({ address }) => of(address)),
    };
  }

  #applyLink(link: Link, isGone: boolean): void {
    const { index, name } = link;
    const known = this.#names.get(index);
    // Other objects hold the former name.
    if (known !== undefined && known !== name) this.doubt();
    if (isGone || !link.isUp) {
      this.#routes.loseDevice(name);
      this.#list = undefined;
    }
    if (!isGone) {
      this.#names.set(index, name);
      this.#links.put(link);
      return;
    }
    this.#names.delete(index);
    this.#links.remove(link);
    for (const rows of [this.#addresses, this.#neighbours]) rows.removeOf(name);
  }

  #applyAddress(address: InterfaceAddress, isGone: boolean): void {
    const { cidr } = address;
    if (cidr.startsWith('fe80:')) return;
    if (!isGone) {
      this.#addresses.put(address);
      return;
    }
    this.#addresses.remove(address);
    // The kernel removes routes of its subnet, and routes with it as source, without notifications.
    const [own] = cidr.split('/');
    const isQuiet = cidr.includes(':') || cidr.startsWith('169.254.');
    if (!isQuiet || this.#isSource(own)) this.doubt();
  }

  #isSource(address: string | undefined): boolean {
    for (const routes of this.#routes.all.values())
      if (routes.some(({ source }) => source === address)) return true;
    return false;
  }

  #applyRoute(record: RouteRecord, isGone: boolean, isReplaced: boolean): void {
    if (!isInMainTable(record)) return;
    const { route } = record;
    this.#routes.apply(route, isGone ? 'gone' : isReplaced ? 'replaced' : 'new');
    this.#list = undefined;
    // The order of IPv4 routes with the same metric decides which one is used. It is not notified.
    if (isGone || isReplaced || route.destination.includes(':')) return;
    const isEqual = ({ metric }: KernelRoute) => metric === route.metric;
    if (this.#routes.at(route.destination).filter(isEqual).length > 1) this.doubt();
  }

  #applyNeighbour({ device, address, mac, isPermanent, isProxy }: NeighbourRecord, isGone: boolean): void {
    if (isProxy) return;
    if (isGone || !isPermanent || mac === undefined) this.#neighbours.remove({ device, address, mac: '' });
    else this.#neighbours.put({ address, device, mac });
  }
}

/** Sorts routes to one destination as the kernel does: the lowest metric first. */
function inOrder(routes: readonly KernelRoute[]): readonly KernelRoute[] {
  if (routes.length < 2) return routes;
  return routes.toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
}
