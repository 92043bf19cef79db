/** Follows this node's addresses while it runs: publishes what the interfaces have now, once it has been so for a moment. */
import type { Node } from '../datastore/schema/core.ts';
import { type NodeInfo, nodeInfo } from '../felix/calc/topology.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { type InterfaceAddress, sourceTowards } from './addresses.ts';
import type { AgentConfig } from './config.ts';
import {
  cidrsOf,
  followAddresses,
  type Interfaces,
  interfaceAddresses,
  internalIpsOf,
  type NodeCidrs,
} from './follow-address.ts';

/** How long an address may be away or new, while a lease is renewed or an interface restarts, before it counts. */
const PATIENCE_MS = 2_000;
const RETRY_MS = 5_000;

export interface OwnAddressModules {
  readonly clock: Clock;
  readonly log: Log;
  /** Asks for another look at the interfaces. */
  readonly look: () => void;
  /** Publishes what follows from the interfaces, as followAddresses says. */
  readonly publish: (addresses: () => readonly InterfaceAddress[]) => Promise<NodeInfo>;
  /** The node has these addresses from now on. */
  readonly adopt: (self: NodeInfo) => void;
}

export class OwnAddress {
  readonly #config: AgentConfig;
  readonly #modules: OwnAddressModules;
  #pending: { readonly text: string; readonly since: number } | undefined;
  /** What was published last, and how it reads on the Node. */
  #done: { readonly wanted: string; readonly annotated: string } | undefined;
  #isBusy = false;
  /** Whether a look came while one was being followed. */
  #isBehind = false;
  #isClosed = false;
  /** Those of the last look. */
  #latest: readonly InterfaceAddress[] = [];
  #retryAt = 0;
  #failure: string | undefined;
  #lost: readonly string[] = [];
  #cancel = () => {};

  constructor(config: AgentConfig, modules: OwnAddressModules) {
    this.#config = config;
    this.#modules = modules;
  }

  /** What is wrong with this node's addresses, a sentence each. */
  get problems(): readonly string[] {
    const lost = this.#lost.map(
      (address) =>
        `${address}, the address of this node, is on no interface that is up: give it back, or give the node another`,
    );
    return this.#failure ? [...lost, this.#failure] : lost;
  }

  /** Applies a look at the interfaces; `self` is what was published last, `node` the Node as the API has it. Never throws. */
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

  async #follow(self: NodeInfo, node: Node, addresses: readonly InterfaceAddress[]): Promise<void> {
    const { clock, log, publish, adopt } = this.#modules;
    // What may surprise the operator is said once, when it is published.
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
    log.info({ before, now: wanted }, 'the addresses of this node have changed');
    const published = await publish(() => this.#latest);
    this.#done = { wanted: present.wanted, annotated: textOf(cidrsOf(published)) };
    this.#pending = undefined;
    this.#failure = undefined;
    if (!this.#isClosed) adopt(published);
  }

  #failed(error: unknown): void {
    const { clock, log } = this.#modules;
    const failure = `the new addresses of this node are not published: ${messageOf(error)}`;
    if (failure !== this.#failure) log.warn({ reason: failure }, 'trying again');
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
