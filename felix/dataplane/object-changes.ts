/** Groups changes by the kernel object that they concern, for lib/oscillation.ts. */
import { devicesOf, type KernelChange, objectOf, renderChange } from '../../kernel/change.ts';
import type { KernelState } from '../../kernel/port.ts';
import type { ObjectChange } from '../../lib/oscillation.ts';

/** The changes of one object in a plan, in order. */
export interface ChangeGroup {
  readonly change: ObjectChange;
  readonly changes: readonly KernelChange[];
}

/** All changes of one object form one change: an oscillating route may be removed and added in each pass. */
export function byObject(changes: readonly KernelChange[]): ChangeGroup[] {
  const groups = new Map<string, KernelChange[]>();
  for (const change of changes) {
    const object = objectOf(change);
    const group = groups.get(object);
    if (group) group.push(change);
    else groups.set(object, [change]);
  }
  return [...groups].map(([object, list]) => ({
    change: {
      object,
      change: list.map(renderChange).join('; '),
      // A link's own flaps are not a reason to forget its changes.
      devices: list.flatMap((change) => (change.object === 'link' ? [] : devicesOf(change))),
    },
    changes: list,
  }));
}

/** Describes an object (objectOf) in the kernel; undefined for kinds other than routes and neighbours. */
export function shownBy(kernel: KernelState, object: string): string | undefined {
  if (object.startsWith('route ')) {
    const found = kernel.routes.filter(({ destination }) => object === `route ${destination}`);
    if (found.length === 0) return 'no such route';
    return found
      .map(({ type, protocol, hops }) =>
        [
          type,
          ...hops.map((hop) => `${hop.gateway ?? ''} dev ${hop.device ?? ''}`.trim()),
          `proto ${protocol}`,
        ].join(' '),
      )
      .join('; ');
  }
  if (!object.startsWith('neighbour ')) return undefined;
  const found = kernel.neighbours.find(({ address, device }) => object === `neighbour ${address} ${device}`);
  return found ? `lladdr ${found.mac}` : 'no such neighbour';
}
