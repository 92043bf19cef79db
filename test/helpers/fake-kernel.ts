/**
 * A kernel in memory (kernel/port.ts). Reads take several steps, as in Linux: `pause` runs before each, so that a test
 * can change the kernel in the middle of an observation or between two changes.
 */
import type { ChangeError, KernelChange } from '../../kernel/change.ts';
import type {
  Connections,
  Kernel,
  KernelEvent,
  KernelState,
  LinkAddress,
  MaySet,
  Nft,
} from '../../kernel/port.ts';
import type { Family } from '../../lib/cidr.ts';
import { familyOf } from '../../lib/cidr.ts';
import type { Sysctl } from '../../model/sysctls.ts';
import { FakeNetwork, type Refusal } from './fake-network.ts';
import { FakePods } from './fake-pods.ts';

export class FakeKernel implements Kernel {
  readonly release = '6.8.0-fake';
  readonly families: readonly Family[] = [4, 6];
  /** Changes by the program under test, in order. */
  readonly changes: KernelChange[] = [];
  /** Addresses whose connections were flushed. */
  readonly flushed: string[] = [];
  /** Sysctls by path. Those of an interface disappear with it. */
  readonly sysctls = new Map<string, string>();
  /** Contents of the nftables tables by name. */
  readonly tables = new Map<string, string>();
  /** Networks of the pods' namespaces, by path. */
  readonly namespaces = new Map<string, FakeNetwork>();
  readonly network = new FakeNetwork((event) => this.#emit(event), this.namespaces);
  readonly pods = new FakePods({
    network: this.network,
    namespaces: this.namespaces,
    apply: (network, changes) => this.#applyIn(network, changes),
    applySysctls: (sysctls) => this.applySysctls(sysctls, () => true),
    step: () => this.#step(),
  });
  /** Runs between the steps of an operation. */
  pause: () => void = () => {};
  /** Returns why the kernel refuses a change by the program under test. */
  refuse: (change: KernelChange) => Refusal | undefined = () => undefined;
  /** Called around each change by the program under test. */
  around: (change: KernelChange, apply: () => Refusal | undefined) => Refusal | undefined = (_, apply) =>
    apply();
  readonly #hints = new Set<(event: KernelEvent) => void>();

  /** Changes the kernel as another program. Returns the refusal. */
  change(change: KernelChange): Refusal | undefined {
    return this.network.apply(change);
  }

  async observe(families: readonly Family[]): Promise<KernelState> {
    const isOf = (text: string) => families.includes(familyOf(text));
    await this.#step();
    const routes = this.network.routes.filter(({ destination }) => isOf(destination));
    await this.#step();
    const neighbours = this.network.neighbours.filter(({ address }) => isOf(address));
    await this.#step();
    const links = new Map(this.network.links);
    await this.#step();
    return { routes, neighbours, links, addresses: this.network.addresses.filter(({ cidr }) => isOf(cidr)) };
  }

  missedNotifications(): number {
    return 0;
  }

  apply(changes: readonly KernelChange[]): Promise<ChangeError[]> {
    return this.#applyIn(this.network, changes);
  }

  async #applyIn(network: FakeNetwork, changes: readonly KernelChange[]): Promise<ChangeError[]> {
    const errors: ChangeError[] = [];
    for (const change of changes) {
      await this.#step();
      this.changes.push(change);
      const refusal = this.around(change, () => this.refuse(change) ?? network.apply(change));
      if (refusal) errors.push({ change, ...refusal });
    }
    return errors;
  }

  applySysctls(sysctls: readonly Sysctl[], maySet: MaySet): string[] {
    const problems: string[] = [];
    for (const { path, value, isOptional } of sysctls) {
      const device = /^net\/ipv[46]\/(?:conf|neigh)\/([^/]+)\//.exec(path)?.[1];
      const link = device === undefined || device === 'all' ? undefined : this.network.links.get(device);
      if (device !== undefined && device !== 'all' && !link) {
        if (!isOptional) problems.push(`${path} cannot be set to ${value} (ENOENT)`);
        continue;
      }
      const key = this.#key(path, link?.index);
      const present = this.sysctls.get(key) ?? 'unset';
      if (present === value) continue;
      if (maySet(path, value, present)) this.sysctls.set(key, value);
      else problems.push(`${path} is ${present}, not ${value}: another program resets it`);
    }
    return problems;
  }

  /** Returns the value of an interface's sysctl; undefined if it was not set since the interface exists. */
  sysctl(path: string, device: string): string | undefined {
    return this.sysctls.get(this.#key(path, this.network.links.get(device)?.index));
  }

  async readVxlans() {
    await this.#step();
    return new Map(
      [...this.network.links.values()].flatMap(({ name, vxlan }) => (vxlan ? [[name, vxlan]] : [])),
    );
  }

  async readForwarding(device: string): Promise<Map<string, string>> {
    await this.#step();
    const link = this.network.links.get(device);
    if (!link) throw new Error(`bridge fdb show dev ${device}: Cannot find device "${device}"`);
    return new Map(link.forwarding);
  }

  async readAddresses(): Promise<LinkAddress[]> {
    await this.#step();
    return this.network.addresses.map(({ device, cidr, isLinkScope }) => {
      const { isUp = false, mtu = 0 } = this.network.links.get(device) ?? {};
      return { device, cidr, isUp, mtu, scope: isLinkScope ? 'link' : 'global' };
    });
  }

  async sourceOfPacketsTo(address: string): Promise<string | undefined> {
    await this.#step();
    const device = this.network.routeTo(address)?.hops[0]?.device;
    return this.network.addresses.find((one) => one.device === device)?.cidr.split('/')[0];
  }

  async routeText(address: string): Promise<string> {
    await this.#step();
    const device = this.network.routeTo(address)?.hops[0]?.device;
    return device ? `${address} dev ${device}` : 'RTNETLINK answers: Network is unreachable';
  }

  close(): void {}

  async switchOffloadOff(): Promise<undefined> {}

  watch(hint: (event: KernelEvent) => void): { close(): void } {
    this.#hints.add(hint);
    return { close: () => this.#hints.delete(hint) };
  }

  openConnections(): Connections {
    return {
      flush: (addresses) => this.flushed.push(...addresses),
      flushLinkLocal: async () => {},
      close: () => {},
    };
  }

  /** An nft that keeps the text of each table. */
  readonly nft: Nft = {
    load: async (lines) => {
      await this.#step();
      for (const line of lines) {
        const deleted = /^delete table (.+)$/.exec(line)?.[1];
        if (deleted !== undefined) this.tables.delete(deleted);
      }
      const rest = lines.filter((line) => !/^delete table |^table \S+ \S+ \{\}$/.test(line));
      const name = rest.map((line) => /^table (\S+ \S+) \{/.exec(line)?.[1]).find(Boolean);
      if (name !== undefined) this.tables.set(name, rest.join('\n'));
      return { outcome: 'exited', ok: true, code: 0, stdout: '', stderr: '' };
    },
    check: async () => true,
    list: async (table) => {
      await this.#step();
      return this.tables.get(table) ?? '';
    },
    generation: async () => undefined,
  };

  async #step(): Promise<void> {
    await Promise.resolve();
    this.pause();
  }

  #key(path: string, index: number | undefined): string {
    return index === undefined ? path : `${path}#${index}`;
  }

  #emit(event: KernelEvent): void {
    for (const hint of [...this.#hints]) hint(event);
  }
}
