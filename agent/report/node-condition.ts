/**
 * The Node's condition NetworkUnavailable: False when pods of this node get a network and are reachable, else True with
 * the reasons. The scheduler avoids a node with True.
 */
import type { Datastore } from '../../datastore/datastore.ts';
import { type Node, nodeKind } from '../../datastore/schema/core.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Clock } from '../../lib/time.ts';

const TYPE = 'NetworkUnavailable';
const RETRY_MS = 2_000;

export class NodeCondition {
  readonly #node: string;
  readonly #modules: { store: Datastore; clock: Clock; log: Log };
  #reported: string | undefined;
  #isWriting = false;
  #cancel = () => {};
  #latest: { readonly reasons: readonly string[]; readonly remarks: readonly string[] } = {
    reasons: [],
    remarks: [],
  };

  constructor(node: string, modules: { store: Datastore; clock: Clock; log: Log }) {
    this.#node = node;
    this.#modules = modules;
  }

  /**
   * Sets why the network is unavailable (empty: it is available) and additional remarks. Writes the condition when
   * either changes, and repeats a failed write until it succeeds.
   */
  update(reasons: readonly string[], remarks: readonly string[] = []): void {
    const text = JSON.stringify([reasons, remarks]);
    this.#latest = { reasons, remarks };
    if (text === this.#reported || this.#isWriting) return;
    this.#isWriting = true;
    this.#write(reasons.join('; '), remarks).then(
      () => {
        this.#isWriting = false;
        this.#reported = text;
        // Write changes that arrived meanwhile.
        this.update(this.#latest.reasons, this.#latest.remarks);
      },
      (error: unknown) => {
        this.#modules.log.debug({ reason: messageOf(error) }, 'Node condition not written yet');
        this.#cancel = this.#modules.clock.after(RETRY_MS, () => {
          this.#isWriting = false;
          this.update(this.#latest.reasons, this.#latest.remarks);
        });
      },
    );
  }

  /** Ends retries. */
  close(): void {
    this.#cancel();
  }

  /** Writes the condition. The kubelet writes the same list, so the version prevents lost updates. */
  async #write(text: string, remarks: readonly string[]): Promise<void> {
    const { store, clock } = this.#modules;
    const node = await store.get(nodeKind, this.#node);
    if (!node) return;
    const present = (node.status.conditions ?? []) as Condition[];
    const before = present.find(({ type }) => type === TYPE);
    const status = text === '' ? 'False' : 'True';
    const reason = text === '' ? 'CaliIsUp' : 'CaliIsNotReady';
    const message = [text === '' ? 'Cali is running on this node' : text, ...remarks].join('; ');
    if (before?.status === status && before.message === message) return;
    const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
    const condition: Condition = {
      type: TYPE,
      status,
      reason,
      message,
      lastHeartbeatTime: now,
      lastTransitionTime: before?.status === status ? (before.lastTransitionTime ?? now) : now,
    };
    const conditions = [...present.filter(({ type }) => type !== TYPE), condition];
    const { resourceVersion } = node.metadata;
    await store.patch(
      nodeKind,
      this.#node,
      { metadata: { resourceVersion }, status: { conditions } },
      { isStatus: true },
    );
    this.#modules.log.info({ status, reasons: text }, TYPE);
  }
}

type Condition = NonNullable<Node['status']['conditions']>[number] & {
  readonly reason?: string;
  readonly message?: string;
  readonly lastHeartbeatTime?: string;
  readonly lastTransitionTime?: string;
};
