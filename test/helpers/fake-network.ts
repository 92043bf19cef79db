/**
 * Links, addresses, routes, neighbours and forwarding entries in memory. Refusals have the kernel's error numbers and
 * messages. Routes and neighbours disappear with their link, as in Linux.
 */
import type {
  AddressChange,
  ChangeError,
  ForwardingChange,
  KernelChange,
  LinkAddition,
  LinkChange,
  LinkUpdate,
  NeighbourChange,
  RouteChange,
  VethPeer,
} from '../../kernel/change.ts';
import type { InterfaceAddress, KernelEvent, Link, Neighbour, VxlanState } from '../../kernel/port.ts';
import {
  contains,
  type Family,
  familyOf,
  formatCidr,
  mustCidr,
  networkOf,
  parseAddress,
} from '../../lib/cidr.ts';
import type { Hop, KernelRoute } from '../../model/route.ts';

interface FakeLink extends Link {
  readonly vxlan?: VxlanState;
  /** The other end of a veth pair. */
  readonly peer?: { readonly network: FakeNetwork; readonly name: string };
  /** Forwarding entries: MAC to node address. */
  readonly forwarding: Map<string, string>;
}

type NewLink = Pick<LinkAddition, 'name' | 'mac' | 'mtu' | 'index'>;

/** Why the kernel refuses a change. */
export type Refusal = Pick<ChangeError, 'code' | 'message'>;

/** Thrown within this file. */
class Refused extends Error {
  readonly code: string | undefined;

  constructor(code: string | undefined, message: string) {
    super(message);
    this.code = code;
  }
}

const RTPROT_KERNEL = 2;

export class FakeNetwork {
  readonly links = new Map<string, FakeLink>();
  addresses: InterfaceAddress[] = [];
  routes: KernelRoute[] = [];
  neighbours: Neighbour[] = [];
  readonly #emit: (event: KernelEvent) => void;
  readonly #namespaces: ReadonlyMap<string, FakeNetwork>;
  #lastIndex = 0;

  /** `namespaces`: the network of each namespace, by path. */
  constructor(
    emit: (event: KernelEvent) => void = () => {},
    namespaces: ReadonlyMap<string, FakeNetwork> = new Map(),
  ) {
    this.#emit = emit;
    this.#namespaces = namespaces;
  }

  /** Makes one change. Returns the kernel's refusal. */
  apply(change: KernelChange): Refusal | undefined {
    try {
      const event = this.#change(change);
      if (event) this.#report(event);
      return undefined;
    } catch (error) {
      if (error instanceof Refused) return { code: error.code, message: error.message };
      throw error;
    }
  }

  /** Creates a network card. */
  createCard(name: string, mac: string): void {
    if (this.links.has(name)) return;
    this.#createLink({ name, mac });
    this.#report({ link: name });
  }

  /** Sets a link down, if it exists. */
  setDown(name: string): void {
    const link = this.links.get(name);
    if (!link) return;
    this.links.set(name, { ...link, isUp: false });
    this.#forget(name, (cidr) => familyOf(cidr) === 4);
    this.#report({ link: name });
  }

  #report(event: Partial<KernelEvent>): void {
    this.#emit({ isAddress: false, isRelevant: true, ...event });
  }

  /** Returns what is special about the event; undefined when `ip monitor` reports none. */
  #change(change: KernelChange): Partial<KernelEvent> | undefined {
    switch (change.object) {
      case 'link':
        this.#changeLink(change);
        return { link: change.name };
      case 'address':
        this.#changeAddress(change);
        return { isAddress: true };
      case 'route':
        this.#changeRoute(change);
        return { isRouteGone: change.verb === 'del' };
      case 'neighbour':
        this.#changeNeighbour(change);
        return {};
      case 'forwarding':
        this.#changeForwarding(change);
        return undefined;
    }
  }

  #changeLink(change: LinkChange): void {
    if (change.verb === 'add') this.#addLink(change);
    else if (change.verb === 'del') this.#deleteLink(this.#link(change.name));
    else this.#setLink(this.#link(change.name), change);
  }

  #setLink(link: FakeLink, { mtu = link.mtu, mac = link.mac, isUp: isSetUp }: LinkUpdate): void {
    const { name } = link;
    const isUp = isSetUp ?? link.isUp;
    this.links.set(name, { ...link, mtu, mac, isUp });
    if (!isUp && link.isUp) this.#forget(name, () => true);
    if (isUp && !link.isUp)
      for (const { device, cidr } of this.addresses) if (device === name) this.#addConnected(name, cidr);
  }

  #deleteLink({ name, peer }: FakeLink): void {
    if (name === 'tunl0' || name === 'lo') throw new Refused('EOPNOTSUPP', 'Operation not supported');
    this.links.delete(name);
    this.#forget(name, () => false);
    if (peer) peer.network.#lose(peer.name);
  }

  /** Removes a link because its peer or its namespace is gone. */
  #lose(name: string): void {
    if (!this.links.delete(name)) return;
    this.#forget(name, () => false);
    this.#report({ link: name });
  }

  /** The namespace ends: its links disappear, and their peers with them. */
  end(): void {
    for (const { name, peer } of [...this.links.values()]) {
      this.#lose(name);
      if (peer) peer.network.#lose(peer.name);
    }
  }

  /** Returns the route to an address: that with the longest prefix. */
  routeTo(address: string): KernelRoute | undefined {
    const host = parseAddress(address);
    const ways = this.routes.filter(({ destination }) => host && contains(mustCidr(destination), host));
    return ways.sort((a, b) => mustCidr(b.destination).length - mustCidr(a.destination).length)[0];
  }

  #addLink(addition: LinkAddition): void {
    const { name, kind } = addition;
    const isTaken = [...this.links.values()].some(({ index }) => index === addition.index);
    if (this.links.has(name) || isTaken) throw new Refused('EEXIST', 'File exists');
    if (kind.type === 'veth') this.#createPair(addition, kind.peer);
    else this.#createLink(addition, kind.type === 'vxlan' ? { vxlan: kind } : {});
    // The module creates tunl0 when it is loaded, before this command.
    if (name === 'tunl0') throw new Refused('EEXIST', 'File exists');
  }

  /** Creates a veth pair, whose other end is in another namespace. */
  #createPair(addition: LinkAddition, peer: VethPeer): void {
    const network = this.#namespaces.get(peer.netns);
    if (!network) throw new Refused('EINVAL', 'Invalid "netns" value');
    if (network.links.has(peer.name)) throw new Refused('EEXIST', 'File exists');
    network.#createLink(peer, { peer: { network: this, name: addition.name } });
    this.#createLink(addition, { peer: { network, name: peer.name } });
  }

  #createLink(
    { name, mac, mtu = 1500, index = ++this.#lastIndex }: NewLink,
    { vxlan, peer }: { vxlan?: VxlanState; peer?: FakeLink['peer'] } = {},
  ): void {
    this.links.set(name, {
      ...{ index, name, isUp: false, mtu },
      mac: mac ?? `02:00:00:00:00:${(index % 256).toString(16).padStart(2, '0')}`,
      ...(vxlan && { vxlan: { vni: vxlan.vni, port: vxlan.port, local: vxlan.local } }),
      ...(peer && { peer }),
      forwarding: new Map(),
    });
  }

  /** Removes what a link loses when it goes down or is deleted. */
  #forget(name: string, isKept: (cidr: string) => boolean): void {
    this.routes = this.routes.filter(({ hops }) => !hops.some(({ device }) => device === name));
    this.neighbours = this.neighbours.filter(({ device }) => device !== name);
    this.addresses = this.addresses.filter(({ device, cidr }) => device !== name || isKept(cidr));
  }

  #changeAddress({ verb, cidr, device, isLinkScope, isDeprecated }: AddressChange): void {
    const link = this.#link(device);
    const present = this.addresses.find((one) => one.device === device && one.cidr === cidr);
    if (verb === 'del') {
      if (!present) throw new Refused('EADDRNOTAVAIL', 'Address not found');
      this.addresses = this.addresses.filter((one) => one !== present);
      const address = cidr.split('/')[0];
      const network = formatCidr(networkOf(mustCidr(cidr)));
      this.routes = this.routes.filter(
        ({ source, protocol, destination, hops }) =>
          source !== address &&
          !(protocol === RTPROT_KERNEL && destination === network && hops[0]?.device === device),
      );
      return;
    }
    if (present) throw new Refused('EEXIST', 'Address already assigned');
    this.addresses.push({
      device,
      cidr,
      ...(isLinkScope && { isLinkScope }),
      ...(isDeprecated && { isFleeting: true }),
    });
    if (link.isUp) this.#addConnected(device, cidr);
  }

  /** Adds the route to an address's network. */
  #addConnected(device: string, cidr: string): void {
    const { length, family } = mustCidr(cidr);
    if (length === (family === 4 ? 32 : 128)) return;
    this.routes.push({
      destination: formatCidr(networkOf(mustCidr(cidr))),
      type: 'unicast',
      protocol: RTPROT_KERNEL,
      metric: family === 4 ? undefined : 256,
      hops: [{ gateway: undefined, device }],
    });
  }

  #changeRoute(change: RouteChange): void {
    const { verb, destination, type, protocol, source, hops } = change;
    const family = familyOf(destination);
    const metric = metricOf(family, change.metric);
    const isSame = (route: KernelRoute) =>
      route.destination === destination && metricOf(family, route.metric) === metric;
    if (verb === 'del') {
      const isMeant = (route: KernelRoute) =>
        route.destination === destination &&
        route.protocol === protocol &&
        (change.metric === undefined || metricOf(family, route.metric) === metric);
      const at = this.routes.findIndex(isMeant);
      if (at < 0) throw new Refused('ESRCH', 'No such process');
      this.routes.splice(at, 1);
      return;
    }
    for (const hop of hops) this.#checkHop(hop);
    const at = this.routes.findIndex(isSame);
    if (verb === 'add' && at >= 0) throw new Refused('EEXIST', 'File exists');
    if (source !== undefined && !this.addresses.some(({ cidr }) => cidr.split('/')[0] === source))
      throw new Refused('EINVAL', 'Invalid prefsrc address.');
    const route: KernelRoute = {
      ...{ destination, type, protocol, hops },
      metric: metric === 0 ? undefined : metric,
      ...(source === undefined ? {} : { source }),
    };
    this.routes.splice(at < 0 ? this.routes.length : at, at < 0 ? 0 : 1, route);
  }

  #checkHop({ gateway, device, isOnlink }: Hop): void {
    if (!this.#link(device!).isUp) throw new Refused('ENETDOWN', 'Device for nexthop is not up.');
    if (gateway === undefined || isOnlink || gateway.startsWith('fe80:')) return;
    const address = parseAddress(gateway)!;
    const isConnected = ({ hops: [hop], destination }: KernelRoute) =>
      hop?.device === device && hop?.gateway === undefined && contains(mustCidr(destination), address);
    if (!this.routes.some(isConnected)) throw new Refused('EINVAL', 'Nexthop has invalid gateway.');
  }

  #changeNeighbour({ verb, address, device, mac = '' }: NeighbourChange): void {
    this.#link(device);
    const others = this.neighbours.filter((one) => one.address !== address || one.device !== device);
    if (verb === 'del' && others.length === this.neighbours.length)
      throw new Refused('ENOENT', 'No such file or directory');
    this.neighbours = verb === 'del' ? others : [...others, { address, device, mac }];
  }

  #changeForwarding({ verb, mac, device, node }: ForwardingChange): void {
    const { forwarding } = this.#link(device);
    if (verb !== 'del') forwarding.set(mac, node);
    else if (!forwarding.delete(mac)) throw new Refused('ENOENT', 'No such file or directory');
  }

  #link(name: string): FakeLink {
    const link = this.links.get(name);
    if (!link) throw new Refused('ENODEV', `Cannot find device "${name}"`);
    return link;
  }
}

/** Normalizes a metric: the default is 0 in IPv4 and 1024 in IPv6. */
function metricOf(family: Family, metric: number | undefined): number {
  return metric || (family === 4 ? 0 : 1024);
}
