/** Keeps BGPPeer.status true while peers, nodes, filters and reflectors' Services change. */
import type { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { Reflector } from '../datastore/reflector.ts';
import { bgpPeerKind } from '../datastore/schema/bgp.ts';
import { bgpFilterKind } from '../datastore/schema/bgp-filter.ts';
import { nodeKind, serviceKind } from '../datastore/schema/core.ts';
import type { ResourceDefinition } from '../datastore/schema/resource.ts';
import { reflectorsFrom } from '../felix/calc/bgp/reflectors.ts';
import { nodeInfo } from '../felix/calc/topology.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { withCondition } from './conditions.ts';
import { resolved } from './peer-status.ts';

/** Nodes report every few seconds, and changes come in groups. */
const COALESCE_MS = 500;
const RETRY_MS = 10_000;

export interface PeerStatusModules {
  readonly client: KubernetesClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Whose Services may be route reflectors. */
  readonly reflectorNamespaces: readonly string[];
}

export class PeerStatusWriter {
  readonly #modules: PeerStatusModules;
  readonly #peers;
  readonly #nodes;
  readonly #filters;
  readonly #services;
  #unsynced = 0;
  #isClosed = false;
  #isWriting = false;
  #cancel: (() => void) | undefined;

  constructor(modules: PeerStatusModules) {
    this.#modules = modules;
    this.#peers = this.#reflect(bgpPeerKind);
    this.#nodes = this.#reflect(nodeKind);
    this.#filters = this.#reflect(bgpFilterKind);
    this.#services = this.#reflect(serviceKind);
  }

  /** Follows the datastore until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const reflectors = [this.#peers, this.#nodes, this.#filters, this.#services];
    await Promise.all(reflectors.map((reflector) => reflector.run(signal)));
    this.#isClosed = true;
    this.#cancel?.();
  }

  #reflect<D extends ResourceDefinition>(definition: D): Reflector<D> {
    const { client, log } = this.#modules;
    this.#unsynced++;
    const events = {
      changed: () => this.#soon(COALESCE_MS),
      synced: () => {
        this.#unsynced--;
        this.#soon(COALESCE_MS);
      },
    };
    return new Reflector({ definition }, { client, log, events });
  }

  /** One write at a time; what changes meanwhile is looked at after it. */
  #soon(delayMs: number): void {
    if (this.#cancel || this.#isClosed) return;
    this.#cancel = this.#modules.clock.after(delayMs, () => {
      this.#cancel = undefined;
      if (this.#unsynced > 0) return;
      if (this.#isWriting) this.#soon(COALESCE_MS);
      else void this.#write();
    });
  }

  async #write(): Promise<void> {
    const { client, clock, log } = this.#modules;
    this.#isWriting = true;
    const input = {
      nodes: [...this.#nodes.objects.values()].map(nodeInfo),
      reflectors: reflectorsFrom([...this.#services.objects.values()], [], this.#modules.reflectorNamespaces),
      filters: new Set(this.#filters.objects.keys()),
    };
    try {
      for (const peer of this.#peers.objects.values()) {
        const conditions = withCondition(peer.status, resolved(peer, input), clock.now());
        if (!conditions) continue;
        await client.patch(bgpPeerKind, peer.metadata.name, { status: { conditions } }, { isStatus: true });
      }
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'BGPPeer.status not written: trying again');
      this.#soon(RETRY_MS);
    } finally {
      this.#isWriting = false;
    }
  }
}
