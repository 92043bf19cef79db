/** Pods' namespaces of a kernel in memory (kernel/port.ts PodKernel). */
import type { ChangeError, KernelChange } from '../../kernel/change.ts';
import type { NamespaceKind, PodKernel, PodNamespace, PodSession } from '../../kernel/port.ts';
import type { Sysctl } from '../../model/sysctls.ts';
import { FakeNetwork } from './fake-network.ts';

/** What the pods' part needs of the kernel around it. */
interface Surroundings {
  readonly network: FakeNetwork;
  readonly namespaces: Map<string, FakeNetwork>;
  /** Makes changes of the program under test in a namespace. */
  apply(network: FakeNetwork, changes: readonly KernelChange[]): Promise<ChangeError[]>;
  applySysctls(sysctls: readonly Sysctl[]): string[];
  /** Lets others act between the steps of an operation. */
  step(): Promise<void>;
}

export class FakePods implements PodKernel {
  readonly #around: Surroundings;
  /** Sysctls that were written in each namespace, by its path. */
  readonly sysctls = new Map<string, readonly Sysctl[]>();

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Starts a container: its namespace has a loopback interface. */
  create(netns: string): FakeNetwork {
    const network = new FakeNetwork();
    network.createCard('lo', '00:00:00:00:00:00');
    this.#around.namespaces.set(netns, network);
    return network;
  }

  /** Ends a container: its namespace and its interfaces disappear. */
  end(netns: string): void {
    this.#around.namespaces.get(netns)?.end();
    this.#around.namespaces.delete(netns);
    this.sysctls.delete(netns);
  }

  namespaceAt(path: string): NamespaceKind {
    if (path === '/proc/self/ns/net') return 'own';
    return this.#around.namespaces.has(path) ? 'pod' : 'absent';
  }

  openSession(): PodSession {
    return { apply: (changes) => this.#around.apply(this.#around.network, changes) };
  }

  enter(netns: string, sysctls: readonly Sysctl[]): PodNamespace {
    const network = this.#around.namespaces.get(netns);
    if (network) this.sysctls.set(netns, sysctls);
    return {
      apply: async (changes) => {
        if (!network) throw new Error(`cannot open ${netns}: No such file or directory`);
        return this.#around.apply(network, changes);
      },
      leave: () => {},
    };
  }

  applySysctls(sysctls: readonly Sysctl[]): string[] {
    return this.#around.applySysctls(sysctls);
  }

  async silenceVeth(name: string): Promise<boolean> {
    await this.#around.step();
    const { network } = this.#around;
    if (!network.links.get(name)?.peer) return true;
    const [error] = await this.#around.apply(network, [{ object: 'link', verb: 'set', name, isUp: false }]);
    return !error || error.code === 'ENODEV';
  }

  async deleteVeth(name: string): Promise<{ isGone: boolean; refusal?: string }> {
    await this.#around.step();
    const { network } = this.#around;
    const link = network.links.get(name);
    if (!link) return { isGone: true };
    if (!link.peer) return { isGone: false };
    const [error] = await this.#around.apply(network, [{ object: 'link', verb: 'del', name }]);
    return error && error.code !== 'ENODEV' ? { isGone: false, refusal: error.message } : { isGone: true };
  }

  async vethNames(): Promise<ReadonlySet<string>> {
    await this.#around.step();
    const links = [...this.#around.network.links.values()];
    return new Set(links.flatMap(({ name, peer }) => (peer ? [name] : [])));
  }
}
