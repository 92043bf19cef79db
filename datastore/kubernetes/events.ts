/** Kubernetes Events: reports for operators in the place where they look first (`kubectl describe node`). */
import { createHash } from 'node:crypto';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { printable } from '../../lib/plain-text.ts';
import type { Clock } from '../../lib/time.ts';
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

export interface InvolvedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid?: string;
}

/** Namespace of Events about cluster-scoped objects, as kubelet does. */
const NAMESPACE = 'default';
/** Minimum interval between Events with the same sentence. */
const QUIET_MS = 60_000;
const MAX_REMEMBERED = 200;
/** Characters; the API server accepts 1,024 octets. */
const MAX_MESSAGE = 900;

export class EventRecorder {
  readonly #component: string;
  readonly #modules: { store: Datastore; clock: Clock; log: Log };
  /** When a sentence was last written. */
  readonly #written = new Map<string, number>();

  constructor(component: string, modules: { store: Datastore; clock: Clock; log: Log }) {
    this.#component = component;
    this.#modules = modules;
  }

  /** Writes an Event about a Node in the background. One Event counts repetitions. Failures are only logged. */
  ofNode(node: string, text: EventText): void {
    this.writeOfNode(node, text).catch((error: unknown) =>
      this.#modules.log.debug({ event: text.reason, reason: messageOf(error) }, 'Event not written'),
    );
  }

  /** Writes an Event about a Node. Resolves when it is written. Throws DatastoreError. */
  async writeOfNode(node: string, text: EventText): Promise<void> {
    const involved = { apiVersion: 'v1', kind: 'Node', name: node, uid: node };
    await this.#record(involved, { component: this.#component, host: node }, text, true);
  }

  /**
   * Writes an Event about a cluster-scoped object. Every agent may report the same, so repetitions are not counted.
   * Resolves to false after a failure, and while the same sentence is suppressed; otherwise the Event exists.
   */
  async ofObject(involved: InvolvedObject, text: EventText): Promise<boolean> {
    try {
      return await this.#record(involved, { component: this.#component }, text, false);
    } catch (error) {
      this.#modules.log.debug({ event: text.reason, reason: messageOf(error) }, 'Event not written');
      return false;
    }
  }

  /** Writes an Event. Returns false while the same sentence is suppressed. */
  async #record(
    involvedObject: InvolvedObject,
    source: object,
    { type, reason, message }: EventText,
    isCounted: boolean,
  ): Promise<boolean> {
    const key = `${involvedObject.kind}\n${involvedObject.name}\n${reason}\n${message}`;
    const now = this.#modules.clock.now();
    if (now - (this.#written.get(key) ?? -QUIET_MS) < QUIET_MS) return false;
    this.#written.delete(key);
    this.#written.set(key, now);
    if (this.#written.size > MAX_REMEMBERED) this.#written.delete(this.#written.keys().next().value!);
    const hash = createHash('sha256').update(key).digest('hex').slice(0, 16);
    const name = `${involvedObject.name}.${hash}`;
    const timestamp = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace: NAMESPACE },
      involvedObject,
      source,
      firstTimestamp: timestamp,
      lastTimestamp: timestamp,
      count: 1,
      type,
      reason,
      message: printable(message, MAX_MESSAGE),
    };
    await this.#write(name, event, isCounted ? timestamp : undefined);
    return true;
  }

  /** Creates the Event. When it exists and `lastTimestamp` is set, increments its count instead. */
  async #write(name: string, event: object, lastTimestamp: string | undefined): Promise<void> {
    const { store } = this.#modules;
    try {
      await store.create(eventKind, event);
    } catch (error) {
      if (!(error instanceof DatastoreError) || error.code !== 'ALREADY_EXISTS') throw error;
      if (lastTimestamp === undefined) return;
      const before = await store.get(eventKind, name, NAMESPACE);
      const count = (before?.count ?? 0) + 1;
      await store.patch(eventKind, name, { count, lastTimestamp }, { namespace: NAMESPACE });
    }
  }
}
