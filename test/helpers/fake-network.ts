/**
 * Links, addresses, routes, neighbours and forwarding entries in memory, changed by the commands of `ip` and `bridge`
 * that Cali writes. Refusals have the kernel's messages. Routes and neighbours disappear with their link, as in Linux.
 */
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
  /** Forwarding entries: MAC to node address. */
  readonly forwarding: Map<string, string>;
}

/** Thrown within this file: the kernel refuses the command. */
class Refusal extends Error {}

const RTPROT_KERNEL = 2;

export class FakeNetwork {
  readonly links = new Map<string, FakeLink>();
  addresses: InterfaceAddress[] = [];
  routes: KernelRoute[] = [];
  neighbours: Neighbour[] = [];
  readonly #emit: (event: KernelEvent) => void;
  #lastIndex = 0;

  constructor(emit: (event: KernelEvent) => void) {
    this.#emit = emit;
  }

  /** Runs one command without its program's name. Returns the kernel's refusal. */
  run(command: string): string | undefined {
    const words = command.split(' ');
    try {
      const event = this.#change(words);
      if (event) this.#emit({ isAddress: false, isRelevant: true, ...event });
      return undefined;
    } catch (error) {
      if (error instanceof Refusal) return error.message;
      throw error;
    }
  }

  /** Returns what is special about the event; undefined when `ip monitor` reports none. */
  #change(words: readonly string[]): Partial<KernelEvent> | undefined {
    switch (words[0]) {
      case 'link':
        this.#changeLink(words);
        return { link: nameOf(words) };
      case 'address':
        this.#changeAddress(words);
        return { isAddress: true };
      case 'route':
        this.#changeRoute(words[1]!, words.slice(2));
        return {};
      case 'neigh':
        this.#changeNeighbour(words);
        return {};
      case 'fdb':
        this.#changeForwarding(words);
        return undefined;
      default:
        throw new Error(`unexpected command: ${words.join(' ')}`);
    }
  }

  #changeLink(words: readonly string[]): void {
    const name = nameOf(words);
    if (words[1] === 'add') this.#addLink(name, words);
    else if (words[1] === 'del') this.#deleteLink(this.#link(name));
    else this.#setLink(this.#link(name), words);
  }

  #setLink(link: FakeLink, words: readonly string[]): void {
    const { name, isUp } = link;
    const mtu = Number(after(words, 'mtu') ?? link.mtu);
    const mac = after(words, 'address') ?? link.mac;
    this.links.set(name, {
      ...link,
      mtu,
      mac,
      isUp: words.includes('up') || (isUp && !words.includes('down')),
    });
    if (words.includes('up') && !isUp)
      for (const { device, cidr } of this.addresses) if (device === name) this.#addConnected(name, cidr);
    if (words.includes('down')) this.#forget(name, (cidr) => familyOf(cidr) === 4);
  }

  #deleteLink({ name }: FakeLink): void {
    if (name === 'tunl0') throw new Refusal('Operation not supported');
    this.links.delete(name);
    this.#forget(name, () => false);
  }

  #addLink(name: string, words: readonly string[]): void {
    if (this.links.has(name)) throw new Refusal('File exists');
    const vxlan = words.includes('vxlan')
      ? {
          vni: Number(after(words, 'id')),
          port: Number(after(words, 'dstport')),
          local: after(words, 'local') ?? '',
        }
      : undefined;
    this.links.set(name, {
      index: ++this.#lastIndex,
      name,
      isUp: false,
      mac:
        after(words, 'address') ?? `02:00:00:00:00:${(this.#lastIndex % 256).toString(16).padStart(2, '0')}`,
      mtu: Number(after(words, 'mtu') ?? 1500),
      ...(vxlan ? { vxlan } : {}),
      forwarding: new Map(),
    });
    // The module creates tunl0 when it is loaded, before this command.
    if (name === 'tunl0') throw new Refusal('File exists');
  }

  /** Removes what a link loses when it goes down or is deleted. */
  #forget(name: string, isKept: (cidr: string) => boolean): void {
    this.routes = this.routes.filter(({ hops }) => !hops.some(({ device }) => device === name));
    this.neighbours = this.neighbours.filter(({ device }) => device !== name);
    this.addresses = this.addresses.filter(({ device, cidr }) => device !== name || isKept(cidr));
  }

  #changeAddress(words: readonly string[]): void {
    const cidr = words[2]!;
    const device = after(words, 'dev')!;
    const link = this.#link(device);
    const present = this.addresses.find((one) => one.device === device && one.cidr === cidr);
    if (words[1] === 'del') {
      if (!present) throw new Refusal('Address not found');
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
    if (present) throw new Refusal('Address already assigned');
    const isLinkScope = after(words, 'scope') === 'link';
    const isFleeting = words.includes('preferred_lft');
    this.addresses.push({
      device,
      cidr,
      ...(isLinkScope && { isLinkScope }),
      ...(isFleeting && { isFleeting }),
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

  #changeRoute(verb: string, words: readonly string[]): void {
    const isBlackhole = words[0] === 'blackhole';
    const destination = words[isBlackhole ? 1 : 0]!;
    const family = familyOf(destination);
    const metric = metricOf(family, after(words, 'metric'));
    const protocol = Number(after(words, 'proto') ?? 3);
    const isSame = (route: KernelRoute) =>
      route.destination === destination && metricOf(family, route.metric) === metric;
    if (verb === 'del') {
      const isMeant = (route: KernelRoute) =>
        route.destination === destination &&
        route.protocol === protocol &&
        (!words.includes('metric') || metricOf(family, route.metric) === metric);
      const at = this.routes.findIndex(isMeant);
      if (at < 0) throw new Refusal('No such process');
      this.routes.splice(at, 1);
      return;
    }
    const hops = isBlackhole ? [] : hopsOf(words);
    for (const hop of hops) this.#checkHop(hop);
    const at = this.routes.findIndex(isSame);
    if (verb === 'add' && at >= 0) throw new Refusal('File exists');
    const source = after(words, 'src');
    if (source !== undefined && !this.addresses.some(({ cidr }) => cidr.split('/')[0] === source))
      throw new Refusal('Invalid prefsrc address.');
    const route: KernelRoute = {
      destination,
      type: isBlackhole ? 'blackhole' : 'unicast',
      protocol,
      metric: metric === 0 ? undefined : metric,
      ...(source === undefined ? {} : { source }),
      hops,
    };
    this.routes.splice(at < 0 ? this.routes.length : at, at < 0 ? 0 : 1, route);
  }

  #checkHop({ gateway, device, isOnlink }: Hop): void {
    if (!this.#link(device!).isUp) throw new Refusal('Device for nexthop is not up.');
    if (gateway === undefined || isOnlink || gateway.startsWith('fe80:')) return;
    const address = parseAddress(gateway)!;
    const isConnected = ({ hops: [hop], destination }: KernelRoute) =>
      hop?.device === device && hop?.gateway === undefined && contains(mustCidr(destination), address);
    if (!this.routes.some(isConnected)) throw new Refusal('Nexthop has invalid gateway.');
  }

  #changeNeighbour(words: readonly string[]): void {
    const address = words[2]!;
    const device = after(words, 'dev')!;
    this.#link(device);
    const others = this.neighbours.filter((one) => one.address !== address || one.device !== device);
    if (words[1] === 'del' && others.length === this.neighbours.length)
      throw new Refusal('No such file or directory');
    const mac = after(words, 'lladdr');
    this.neighbours = words[1] === 'del' ? others : [...others, { address, device, mac: mac! }];
  }

  #changeForwarding(words: readonly string[]): void {
    const { forwarding } = this.#link(after(words, 'dev')!);
    const mac = words[2]!;
    if (words[1] !== 'del') forwarding.set(mac, after(words, 'dst')!);
    else if (!forwarding.delete(mac)) throw new Refusal('No such file or directory');
  }

  #link(name: string): FakeLink {
    const link = this.links.get(name);
    if (!link) throw new Refusal(`Cannot find device "${name}"`);
    return link;
  }
}

/** Returns the word after another one. */
function after(words: readonly string[], word: string): string | undefined {
  const at = words.indexOf(word);
  return at < 0 ? undefined : words[at + 1];
}

/** Returns the link of `link add name N`, `link set dev N` and `link del dev N`. */
function nameOf(words: readonly string[]): string {
  return after(words, words[1] === 'add' ? 'name' : 'dev')!;
}

/** Normalizes a metric: the default is 0 in IPv4 and 1024 in IPv6. */
function metricOf(family: Family, metric: string | number | undefined): number {
  return Number(metric ?? 0) || (family === 4 ? 0 : 1024);
}

/** Returns the next hops of a route command. */
function hopsOf(words: readonly string[]): Hop[] {
  const groups = words.join(' ').split(' nexthop ');
  const texts = groups.length > 1 ? groups.slice(1) : groups;
  return texts.map((text) => {
    const some = text.split(' ').filter((word) => word !== 'inet6');
    return {
      gateway: after(some, 'via'),
      device: after(some, 'dev'),
      ...(some.includes('onlink') ? { isOnlink: true } : {}),
    };
  });
}
