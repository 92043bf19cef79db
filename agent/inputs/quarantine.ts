/**
 * Replaces objects that make a calculation throw by their last good version, or leaves them out if there is none. Both
 * last until the object's next version.
 */

import type { UnreadableObject } from '../../datastore/informer.ts';
import type { ObjectProblem } from '../../datastore/object-problem.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { findOffenders } from '../../lib/offenders.ts';
import { printable } from '../../lib/plain-text.ts';
import type { Clock } from '../../lib/time.ts';
import type { ClusterObjects } from './cluster.ts';

type ClusterObject = ClusterObjects[keyof ClusterObjects][number];

interface Held {
  readonly former: ClusterObject | undefined;
  readonly trouble: UnreadableObject;
}

/** How long a search may block everything else, once it has found an object. */
const TURN_MS = 500;
/** Maximum length of a message in a problem, characters. */
const MAX_MESSAGE = 300;

export class Quarantine {
  readonly #node: string;
  readonly #log: Log;
  /** By the view's object; a new version is a new object. Bounded by the number of objects. */
  #held: ReadonlyMap<ClusterObject, Held> = new Map();
  #lastGood: ClusterObjects | undefined;
  /** Input of the last search without a result. */
  #fruitless: { readonly objects: ClusterObjects; readonly reason: string } | undefined;
  readonly #clock: Pick<Clock, 'now'>;

  constructor(node: string, log: Log, clock: Pick<Clock, 'now'>) {
    this.#node = node;
    this.#log = log;
    this.#clock = clock;
  }

  /** Returns the objects, with quarantined ones replaced or left out. */
  filter(objects: ClusterObjects): ClusterObjects {
    if (this.#held.size === 0) return objects;
    return mapKinds(objects, (list) =>
      list.flatMap((object) => {
        const held = this.#held.get(object);
        if (!held) return [object];
        return held.former ? [held.former] : [];
      }),
    );
  }

  /** Records that all calculations succeeded with `filtered`. Releases objects that are no longer in the view. */
  passed(view: ClusterObjects, filtered: ClusterObjects): void {
    this.#lastGood = filtered;
    if (this.#held.size === 0) return;
    const present = new Set<ClusterObject>(Object.values(view).flat());
    this.#held = new Map([...this.#held].filter(([object]) => present.has(object)));
  }

  /**
   * Searches for objects that make a calculation throw, as many as a turn allows. Returns true when it quarantined new
   * ones, so that the caller should retry. False when no object is the cause; the same objects are not searched again.
   */
  investigate(view: ClusterObjects, attempt: (objects: ClusterObjects) => void): boolean {
    const objects = this.filter(view);
    const reason = thrown(() => attempt(objects));
    if (reason === undefined) return false;
    if (this.#fruitless?.reason === reason && isSame(this.#fruitless.objects, objects)) return false;
    const startedAt = this.#clock.now();
    const reasons = new Map<ClusterObject, string>();
    let latest = reason;
    const offenders = findOffenders<ClusterObject>(
      { ...objects },
      // Built from all kinds, so it has all kinds.
      (world) => {
        const message = thrown(() => attempt(world as unknown as ClusterObjects));
        latest = message ?? latest;
        return message !== undefined;
      },
      {
        isEssential: (kind, { metadata }) => kind === 'Node' && metadata.name === this.#node,
        isOver: () => this.#clock.now() - startedAt >= TURN_MS,
        onFound: (object) => reasons.set(object, latest),
      },
    );
    if (!offenders || offenders.length === 0) {
      this.#fruitless = { objects, reason };
      return false;
    }
    this.#fruitless = undefined;
    const held = new Map(this.#held);
    for (const { kind, value } of offenders) {
      // The replacement itself throws: leave the object out.
      const origin = [...held].find(([, { former }]) => former === value)?.[0];
      const former = origin ? undefined : this.#formerOf(kind, value);
      const trouble = troubleOf(kind, value, reasons.get(value) ?? reason, former !== undefined);
      held.set(origin ?? value, { former, trouble });
      this.#log.error({ ...trouble.problem }, 'object excluded from the calculation');
    }
    this.#held = held;
    return true;
  }

  problems(): UnreadableObject[] {
    return [...this.#held.values()].map(({ trouble }) => trouble);
  }

  #formerOf(kind: string, { metadata }: ClusterObject): ClusterObject | undefined {
    const list: readonly ClusterObject[] = this.#lastGood?.[kind as keyof ClusterObjects] ?? [];
    return list.find(
      (one) => one.metadata.name === metadata.name && one.metadata.namespace === metadata.namespace,
    );
  }
}

function troubleOf(
  kind: string,
  { metadata: { name, namespace, uid } }: ClusterObject,
  reason: string,
  hasFormer: boolean,
): UnreadableObject {
  const consequence = hasFormer ? 'its previous version stays in force' : 'the object is ignored';
  const problem: ObjectProblem = {
    kind,
    name,
    ...(namespace ? { namespace } : {}),
    reason: `it makes a calculation fail (${printable(reason, MAX_MESSAGE)}); ${consequence}`,
  };
  return { problem, uid, conditions: undefined, isAbsent: !hasFormer };
}

/** Whether both contain the same versions of the same objects. */
function isSame(a: ClusterObjects, b: ClusterObjects): boolean {
  const lists = Object.entries(b) as [keyof ClusterObjects, readonly ClusterObject[]][];
  return lists.every(([kind, list]) => {
    const others: readonly ClusterObject[] = a[kind];
    return list.length === others.length && list.every((object, index) => object === others[index]);
  });
}

function thrown(task: () => void): string | undefined {
  try {
    task();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function mapKinds(
  objects: ClusterObjects,
  change: (list: readonly ClusterObject[]) => readonly ClusterObject[],
): ClusterObjects {
  // Each list keeps its kind, because an object is replaced by a version of itself.
  return Object.fromEntries(
    Object.entries(objects).map(([kind, list]) => [kind, change(list)]),
  ) as unknown as ClusterObjects;
}
