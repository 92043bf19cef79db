/** Keeps the CalicoNodeStatus objects of this node up to date. Checks each in its period, and writes changes. */
import type { Datastore } from '../../datastore/datastore.ts';
import { type CalicoNodeStatus, calicoNodeStatusKind } from '../../datastore/schema/node-status.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Clock } from '../../lib/time.ts';

export interface NodeStatusModules {
  readonly store: Datastore;
  readonly clock: Clock;
  readonly log: Log;
  /** Returns the current status for an object. */
  readonly read: (object: CalicoNodeStatus) => Record<string, unknown>;
}

interface Followed {
  readonly spec: string;
  /** The status that was last written. */
  written: string;
  cancel: () => void;
}

export class NodeStatusReporter {
  readonly #node: string;
  readonly #modules: NodeStatusModules;
  readonly #followed = new Map<string, Followed>();

  constructor(node: string, modules: NodeStatusModules) {
    this.#node = node;
    this.#modules = modules;
  }

  /** Sets the existing objects. */
  update(objects: readonly CalicoNodeStatus[]): void {
    const own = objects.filter(({ spec }) => spec.node === this.#node);
    const names = new Set(own.map(({ metadata }) => metadata.name));
    for (const [name, { cancel }] of this.#followed) {
      if (names.has(name)) continue;
      cancel();
      this.#followed.delete(name);
    }
    for (const object of own) {
      const { name } = object.metadata;
      const spec = JSON.stringify(object.spec);
      const before = this.#followed.get(name);
      if (before?.spec === spec) continue;
      before?.cancel();
      const followed: Followed = { spec, written: '', cancel: () => {} };
      this.#followed.set(name, followed);
      this.#report(object, followed);
    }
  }

  close(): void {
    this.update([]);
  }

  #report(object: CalicoNodeStatus, followed: Followed): void {
    const { store, clock, log, read } = this.#modules;
    const { name } = object.metadata;
    const { updatePeriodSeconds } = object.spec;
    const write = async () => {
      const status = read(object);
      const text = JSON.stringify(status);
      if (text === followed.written) return;
      const lastUpdated = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
      await store.patch(
        calicoNodeStatusKind,
        name,
        { status: { ...status, lastUpdated } },
        { isStatus: true },
      );
      followed.written = text;
    };
    void write()
      .catch((error: unknown) =>
        log.debug({ object: name, reason: messageOf(error) }, 'CalicoNodeStatus not written'),
      )
      .then(() => {
        if (this.#followed.get(name) === followed && updatePeriodSeconds > 0)
          followed.cancel = clock.after(updatePeriodSeconds * 1000, () => this.#report(object, followed));
      });
  }
}
