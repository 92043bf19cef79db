/** Kubernetes Events: what an operator must know, where he looks first (`kubectl describe node`). */
import { createHash } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Datastore } from '../datastore.ts';
import { DatastoreError } from '../errors.ts';
import { eventKind } from '../schema/core.ts';

export interface EventText {
  readonly type: 'Normal' | 'Warning';
  /** One word in CamelCase, for filters. */
  readonly reason: string;
  /** A sentence. */
  readonly message: string;
}

/** Events of Nodes are in this namespace (kubelet does the same). */
const NAMESPACE = 'default';
/** The same sentence is not told again sooner. */
const QUIET_MS = 60_000;
const MAX_REMEMBERED = 200;

export class EventRecorder {
  readonly #component: string;
  readonly #modules: { store: Datastore; clock: Clock; log: Log };
  /** When a sentence was told last. */
  readonly #told = new Map<string, number>();

  constructor(component: string, modules: { store: Datastore; clock: Clock; log: Log }) {
    this.#component = component;
    this.#modules = modules;
  }

  /** Tells it of a Node, in the background; repetitions are counted in one Event. What fails is logged and forgotten. */
  ofNode(node: string, { type, reason, message }: EventText): void {
    const { clock, log } = this.#modules;
    const key = `${node}\n${reason}\n${message}`;
    const now = clock.now();
    if (now - (this.#told.get(key) ?? -QUIET_MS) < QUIET_MS) return;
    this.#told.delete(key);
    this.#told.set(key, now);
    if (this.#told.size > MAX_REMEMBERED) this.#told.delete(this.#told.keys().next().value!);
    const name = `${node}.${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
    const timestamp = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace: NAMESPACE },
      involvedObject: { apiVersion: 'v1', kind: 'Node', name: node, uid: node },
      source: { component: this.#component, host: node },
      firstTimestamp: timestamp,
      lastTimestamp: timestamp,
      count: 1,
      type,
      reason,
      message,
    };
    this.#write(name, event, timestamp).catch((error: unknown) =>
      log.debug({ event: reason, reason: messageOf(error) }, 'Event not written'),
    );
  }

  async #write(name: string, event: object, lastTimestamp: string): Promise<void> {
    const { store } = this.#modules;
    try {
      await store.create(eventKind, event);
    } catch (error) {
      if (!(error instanceof DatastoreError) || error.code !== 'ALREADY_EXISTS') throw error;
      const before = await store.get(eventKind, name, NAMESPACE);
      const count = (before?.count ?? 0) + 1;
      await store.patch(eventKind, name, { count, lastTimestamp }, { namespace: NAMESPACE });
    }
  }
}
