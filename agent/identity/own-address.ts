/** Follows this node's addresses while it runs. Publishes changes of the interfaces after a short delay. */
import type { Node } from '../../datastore/schema/core.ts';
import type { Interfaces, LinkAddress } from '../../kernel/port.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Clock } from '../../lib/time.ts';
import { type NodeInfo, nodeInfo } from '../../model/node.ts';
import type { AgentConfig } from '../inputs/environment.ts';
import type { Surroundings } from './autodetect.ts';
import {
  cidrsOf,
  followAddresses,
  interfaceAddresses,
  internalIpsOf,
  type NodeCidrs,
} from './follow-address.ts';

/** Delay before a change counts: a lease that is renewed, or an interface that restarts, changes addresses briefly. */
const PATIENCE_MS = 2_000;
const RETRY_MS = 5_000;

export interface OwnAddressModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly sourceTowards: Surroundings['sourceTowards'];
  /** Requests another check of the interfaces. */
  readonly look: () => void;
  /** Publishes the addresses that followAddresses returns for the interfaces. */
  readonly publish: (addresses: () => readonly LinkAddress[]) => Promise<NodeInfo>;
  /** Uses these addresses of the node from now on. */
  readonly adopt: (self: NodeInfo) => void;
}

export class OwnAddress {
  readonly #config: AgentConfig;
  readonly #modules: OwnAddressModules;
  #pending: { readonly text: string; readonly since: number } | undefined;
  /** The last published addresses, and their form on the Node. */
  #done: { readonly wanted: string; readonly annotated: string } | undefined;
  #isBusy = false;
  /** Whether another check arrived while one was handled. */
  #isBehind = false;
  #isClosed = false;
  /** Addresses at the last check. */
  #latest: readonly LinkAddress[] = [];
  #retryAt = 0;
  #failure: string | undefined;
  #lost: readonly string[] = [];
  #cancel = () => {};

  constructor(config: AgentConfig, modules: OwnAddressModules) {
    this.#config = config;
    this.#modules = modules;
  }

  /** Faults of this node's addresses, a sentence each. */
  get problems(): readonly string[] {
    const lost = this.#lost.map(
      (address) =>
        `${address}, the address of this node, is on no interface that is up: restore it, or give the node another`,
    );
    return this.#failure ? [...lost, this.#failure] : lost;
  }

  /** Handles a check of the interfaces. `self` is the node as last published, `node` the API's object. Never throws. */
  update(self: NodeInfo, node: Node | undefined, interfaces: Interfaces): void {
    const addresses = interfaceAddresses(interfaces);
    this.#latest = addresses;
    const up = addresses.filter(({ isUp }) => isUp).map(({ cidr }) => cidr.split('/')[0]);
    this.#lost = Object.values(self.addresses)
      .map(({ address }) => address)
      .filter((address) => !up.includes(address));
    this.#isBehind = this.#isBusy;
    if (!node || this.#isBusy || this.#isClosed) return;
    this.#isBusy = true;
    void this.#follow(self, node, addresses)
      .catch((error: unknown) => this.#failed(error))
      .then(() => {
        this.#isBusy = false;
        if (this.#isBehind && !this.#isClosed) this.#modules.look();
      });
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  async #follow(self: NodeInfo, node: Node, addresses: readonly LinkAddress[]): Promise<void> {
    const { clock, log, publish, adopt, sourceTowards } = this.#modules;
    // No warnings here: the agent logs them once, when it publishes.
    const surroundings = { addresses, internalIps: internalIpsOf(node), sourceTowards, warn() {} };
    const wanted = await followAddresses(this.#config, self, node, surroundings);
    const before = cidrsOf(self);
    const present = { wanted: textOf(wanted), annotated: textOf(cidrsOf(nodeInfo(node))) };
    const isSame = present.wanted === textOf(before) && present.wanted === present.annotated;
    const isDone = present.wanted === this.#done?.wanted && present.annotated === this.#done.annotated;
    if (isSame || isDone) {
      this.#pending = undefined;
      this.#failure = undefined;
      return;
    }
    const now = clock.now();
    if (this.#pending?.text !== present.wanted) this.#pending = { text: present.wanted, since: now };
    const dueAt = Math.max(this.#pending.since + PATIENCE_MS, this.#retryAt);
    if (now < dueAt) {
      this.#later(dueAt - now);
      return;
    }
    log.info({ before, now: wanted }, 'node addresses changed');
    const published = await publish(() => this.#latest);
    this.#done = { wanted: present.wanted, annotated: textOf(cidrsOf(published)) };
    this.#pending = undefined;
    this.#failure = undefined;
    if (!this.#isClosed) adopt(published);
  }

  #failed(error: unknown): void {
    const { clock, log } = this.#modules;
    const failure = `the new addresses of this node are not published: ${messageOf(error)}`;
    if (failure !== this.#failure) log.warn({ reason: failure }, 'node addresses: retrying');
    this.#failure = failure;
    this.#retryAt = clock.now() + RETRY_MS;
    this.#later(RETRY_MS);
  }

  #later(delayMs: number): void {
    this.#cancel();
    this.#cancel = this.#modules.clock.after(delayMs, this.#modules.look);
  }
}

function textOf(cidrs: NodeCidrs): string {
  return `${cidrs[4] ?? ''} ${cidrs[6] ?? ''}`;
}
