/**
 * Removes endpoints in two parts. First the pod falls silent and its addresses are released: DEL waits for that. Then
 * the interface, the handle, the annotations and the file follow in the background. The file carries a mark meanwhile,
 * so that a restarted agent continues.
 */
import type { Datastore } from '../datastore/datastore.ts';
import type { AddressSource } from '../ipam/address-source.ts';
import type { Kernel } from '../kernel/port.ts';
import { Backoff } from '../lib/backoff.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { KeyedMutex } from '../lib/mutex.ts';
import type { Time } from '../lib/time.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { clearAnnotations } from './address-annotations.ts';
import { handleOf } from './assign-request.ts';
import type { EndpointStore } from './endpoint-store.ts';
import { tearDownEndpoint } from './network.ts';

/** By then the runtime has usually removed the pod's namespace, and the kernel the interface with it. */
const FOLLOW_MS = 1000;
const RETRY = { firstMs: 1000, maxMs: 60_000 };

export interface RemovalModules {
  readonly store: Datastore;
  readonly ipam: AddressSource;
  readonly endpoints: EndpointStore;
  readonly kernel: { readonly pods: Pick<Kernel['pods'], 'silenceVeth' | 'deleteVeth'> };
  readonly time: Pick<Time, 'after' | 'random'>;
  readonly log: Log;
}

export class Removals {
  readonly #modules: RemovalModules;
  /** By host interface: a removal by name must not meet the interface's successor. */
  readonly #perInterface = new KeyedMutex();
  /** Cancels the next attempt. Bounded by the endpoints that are being removed. */
  readonly #retries = new Map<Endpoint, () => void>();
  #isClosed = false;

  constructor(modules: RemovalModules) {
    this.#modules = modules;
  }

  /** Continues what an earlier agent began. Call it once. */
  resume(): void {
    for (const endpoint of this.#modules.endpoints.retired()) this.#follow(endpoint);
  }

  /** Stops what is to follow. The next agent continues. */
  close(): void {
    this.#isClosed = true;
    for (const cancel of this.#retries.values()) cancel();
    this.#retries.clear();
  }

  /**
   * Resolves when the pod can no longer send and its addresses are released; the rest follows. When a step fails, the
   * function does all that it can of the rest at once, and rejects if that fails too.
   */
  async begin(endpoint: Endpoint): Promise<void> {
    const isBegun = await this.#perInterface.run(endpoint.interfaceName, () => this.#begin(endpoint));
    if (isBegun) return this.#followIn(FOLLOW_MS, endpoint, this.#backoff());
    try {
      await this.finish(endpoint);
    } catch (error) {
      this.#retry(endpoint, this.#backoff());
      throw error;
    }
  }

  /** Removes an endpoint completely, also one that is being removed. Rejects when that fails. */
  finish(endpoint: Endpoint): Promise<void> {
    return this.#perInterface.run(endpoint.interfaceName, () => this.#finish(endpoint));
  }

  /** Returns whether the rest may follow later. */
  async #begin(endpoint: Endpoint): Promise<boolean> {
    const { endpoints, ipam, kernel } = this.#modules;
    if (!endpoints.has(endpoint)) return true;
    try {
      endpoints.retire(endpoint);
      const isSilent = this.#isShared(endpoint) || (await kernel.pods.silenceVeth(endpoint.interfaceName));
      if (isSilent) await ipam.releaseAddresses(handleOfEndpoint(endpoint));
      return isSilent;
    } catch {
      return false;
    }
  }

  /** Removes the interface first, so that the pod is silent before IPAM assigns its address again; the file last. */
  async #finish(endpoint: Endpoint): Promise<void> {
    const { endpoints, ipam, kernel } = this.#modules;
    // Removed meanwhile; the container may have a new endpoint.
    if (!endpoints.has(endpoint)) return;
    if (!this.#isShared(endpoint)) await tearDownEndpoint(endpoint.interfaceName, kernel.pods);
    await ipam.releaseHandle(handleOfEndpoint(endpoint));
    await Promise.all([endpoints.remove(endpoint), clearAnnotations(this.#modules, endpoint)]);
  }

  /** Files can name one interface for two endpoints; the other endpoint's pod may be running. */
  #isShared({ interfaceName, containerId }: Endpoint): boolean {
    return this.#modules.endpoints
      .list()
      .some((one) => one.interfaceName === interfaceName && one.containerId !== containerId);
  }

  /** Finishes in the background, and retries until that succeeds. */
  #follow(endpoint: Endpoint, backoff = this.#backoff()): void {
    this.finish(endpoint).catch((error: unknown) => {
      const { containerId: container, interfaceName } = endpoint;
      const reason = messageOf(error);
      this.#modules.log.warn({ container, interfaceName, reason }, 'pod not removed completely: retrying');
      this.#retry(endpoint, backoff);
    });
  }

  #retry(endpoint: Endpoint, backoff: Backoff): void {
    this.#followIn(backoff.next(), endpoint, backoff);
  }

  #followIn(delayMs: number, endpoint: Endpoint, backoff: Backoff): void {
    if (this.#isClosed || this.#retries.has(endpoint)) return;
    const cancel = this.#modules.time.after(delayMs, () => {
      this.#retries.delete(endpoint);
      this.#follow(endpoint, backoff);
    });
    this.#retries.set(endpoint, cancel);
  }

  #backoff(): Backoff {
    return new Backoff(RETRY, () => this.#modules.time.random());
  }
}

function handleOfEndpoint({ network, containerId }: Endpoint): string {
  return handleOf({ name: network }, containerId);
}
