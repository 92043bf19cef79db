/**
 * Keeps BGPPeer.status current when peers, nodes, filters and reflectors' Services change. Also writes the condition
 * Accepted of BGPPeers and IPPools.
 */

import type { Informer, InformerTime } from '../datastore/informer.ts';
import { Informers } from '../datastore/informers.ts';
import type { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { bgpFilterKind } from '../datastore/schema/bgp-filter.ts';
import { bgpPeerKind } from '../datastore/schema/bgp-peer.ts';
import { type nodeKind, serviceKind } from '../datastore/schema/core.ts';
import { ipPoolKind } from '../datastore/schema/ip-pool.ts';
import type { Shared } from '../datastore/shared.ts';
import type { Watch } from '../datastore/watch-metrics.ts';
import { reflectorsFrom } from '../felix/calc/bgp/reflectors.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { nodeInfo } from '../model/node.ts';
import { acceptance } from './accepted.ts';
import { withCondition } from './conditions.ts';
import { type PeeringInput, resolved } from './peer-status.ts';

/** Nodes report every few seconds, and changes come in bursts. */
const COALESCE_MS = 500;
const RETRY_MS = 10_000;

export interface PeerStatusModules {
  readonly client: KubernetesClient;
  readonly clock: InformerTime;
  readonly log: Log;
  /** Namespaces whose Services may be route reflectors. */
  readonly reflectorNamespaces: readonly string[];
  /** Kinds that other parts also follow, so that each is watched once. The owner of the informers runs them. */
  readonly nodes: Shared<typeof nodeKind>;
  readonly pools: Shared<typeof ipPoolKind>;
}

export class PeerStatusWriter {
  readonly #modules: PeerStatusModules;
  readonly #informers: Informers;
  readonly #peers;
  readonly #nodes;
  readonly #filters;
  readonly #services;
  readonly #pools;
  #isClosed = false;
  #isWriting = false;
  #cancel: (() => void) | undefined;

  constructor(modules: PeerStatusModules) {
    this.#modules = modules;
    const { client, clock: time, log } = modules;
    this.#informers = new Informers({ client, time, log, changed: () => this.#soon(COALESCE_MS) });
    this.#peers = this.#informers.add(bgpPeerKind);
    this.#filters = this.#informers.add(bgpFilterKind);
    this.#services = this.#informers.add(serviceKind);
    this.#nodes = this.#informers.share(modules.nodes);
    this.#pools = this.#informers.share(modules.pools);
  }

  /** Watches other than those of the shared kinds, for metrics. */
  get watches(): readonly Watch[] {
    return this.#informers.followed;
  }

  /** Follows the datastore until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#informers.run(signal);
    this.#isClosed = true;
    this.#cancel?.();
  }

  /** Schedules a write. Changes during a write are handled after it. */
  #soon(delayMs: number): void {
    if (this.#cancel || this.#isClosed) return;
    this.#cancel = this.#modules.clock.after(delayMs, () => {
      this.#cancel = undefined;
      if (!this.#informers.isSynced) return;
      if (this.#isWriting) this.#soon(COALESCE_MS);
      else void this.#write();
    });
  }

  /** Writes all statuses. Never rejects: failures are logged and retried. */
  async #write(): Promise<void> {
    this.#isWriting = true;
    let failures = 0;
    const failed = (object: string, error: unknown) => {
      failures++;
      this.#modules.log.warn({ object, reason: messageOf(error) }, 'status not written: retrying');
    };
    try {
      for (const { what, write } of this.#writes()) {
        // A failure for one object does not stop the others.
        await write().catch((error: unknown) => failed(what, error));
      }
    } catch (error) {
      failed('BGPPeers and IPPools', error);
    }
    this.#isWriting = false;
    if (failures > 0) this.#soon(RETRY_MS);
  }

  #peerInput(): PeeringInput {
    return {
      nodes: this.#nodes.list().map(nodeInfo),
      reflectors: reflectorsFrom(this.#services.list(), [], this.#modules.reflectorNamespaces),
      filters: new Set(this.#filters.objects.keys()),
    };
  }

  #writes(): { readonly what: string; readonly write: () => Promise<void> }[] {
    const { client, clock } = this.#modules;
    // Calculated lazily: if that fails, IPPools still get their status.
    let known: PeeringInput | undefined;
    const peers = this.#peers.list().map((peer) => ({
      what: `BGPPeer ${peer.metadata.name}`,
      write: async () => {
        known ??= this.#peerInput();
        const conditions = withCondition(peer.status, resolved(peer, known), clock.now());
        if (conditions) await client.patchStatus(bgpPeerKind, peer.metadata.name, { conditions });
      },
    }));
    return [
      ...peers.filter(({ what }) => !this.#peers.problems.has(what.slice('BGPPeer '.length))),
      ...this.#acceptances(bgpPeerKind, this.#peers),
      ...this.#acceptances(ipPoolKind, this.#pools),
    ];
  }

  /** Returns the writes of condition Accepted. For an unreadable object it is the only one. */
  #acceptances(
    definition: typeof bgpPeerKind | typeof ipPoolKind,
    { objects, problems }: Pick<Informer<typeof bgpPeerKind | typeof ipPoolKind>, 'objects' | 'problems'>,
  ) {
    const { client, clock } = this.#modules;
    const names = new Set([...objects.keys(), ...problems.keys()]);
    return [...names].map((name) => ({
      what: `${definition.kind} ${name}`,
      write: async () => {
        const trouble = problems.get(name);
        const present = trouble ? trouble.conditions : objects.get(name)?.status?.['conditions'];
        const conditions = acceptance(present, trouble?.problem, clock.now());
        if (conditions) await client.patchStatus(definition, name, { conditions });
      },
    }));
  }
}
