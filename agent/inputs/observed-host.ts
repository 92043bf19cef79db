/** This host as the last check of the kernel showed it. */
import type { HostFacts } from '../../felix/calc/bgp/kernel-import.ts';
import type { Interfaces, KernelState } from '../../kernel/port.ts';
import type { NodeInfo } from '../../model/node.ts';
import type { Ownership } from '../../model/route-ownership.ts';
import { hostFacts, unseenHost } from './host-facts.ts';

export class ObservedHost {
  /** Interface of each route, by destination. Bounded by the routes of the kernel. */
  #devices: ReadonlyMap<string, string> = new Map();
  #facts: HostFacts | undefined;
  #interfaces: Interfaces | undefined;

  /** Interfaces and their addresses; undefined before the first check. */
  get interfaces(): Interfaces | undefined {
    return this.#interfaces;
  }

  /** Returns the interface of the kernel's route to a destination; undefined without such a route. */
  deviceOf(destination: string): string | undefined {
    return this.#devices.get(destination);
  }

  /** Returns facts for the kernel's import policy. Before the first check they follow from the Node, if it is known. */
  facts(self: NodeInfo | undefined): HostFacts | undefined {
    return this.#facts ?? (self && unseenHost(self));
  }

  /** Records a check. Returns whether facts changed. `numbers` distinguish our routes from those of the host. */
  observe(kernel: KernelState, numbers: Pick<Ownership, 'protocols' | 'former'>): boolean {
    this.#devices = new Map(
      kernel.routes.map(({ destination, hops }) => [destination, hops[0]?.device ?? '']),
    );
    this.#interfaces = kernel;
    const facts = hostFacts(kernel, { ...numbers, ranges: [] });
    const isChanged = JSON.stringify(facts) !== JSON.stringify(this.#facts);
    this.#facts = facts;
    return isChanged;
  }
}
