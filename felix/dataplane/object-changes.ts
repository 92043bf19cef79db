/** Maps `ip` and `bridge` commands to the kernel objects that they change, for lib/oscillation.ts. */

import type { KernelState } from '../../kernel/port.ts';
import type { ObjectChange } from '../../lib/oscillation.ts';

/** Groups commands by object. All commands for one object form one change. */
export function byObject(
  commands: readonly string[],
): { change: ObjectChange; commands: readonly string[] }[] {
  const groups = new Map<string, string[]>();
  for (const command of commands) {
    const object = objectOf(command);
    groups.set(object, [...(groups.get(object) ?? []), command]);
  }
  return [...groups].map(([object, list]) => ({
    change: { object, change: list.join('; ') },
    commands: list,
  }));
}

/** Returns `route 10.0.0.0/26`, `neigh fd00::1 cali123` or `link vxlan.cali`, in lower case to compare addresses. */
export function objectOf(command: string): string {
  const words = command.toLowerCase().split(' ');
  const kind = words[0]!;
  const device = words[words.indexOf('dev') + 1] ?? '';
  if (kind === 'link') {
    const at = Math.max(words.indexOf('name'), words.indexOf('dev'));
    return `link ${words[at < 0 ? 2 : at + 1] ?? ''}`;
  }
  const target = words.slice(2).find((word) => word === 'default' || /[.:]/.test(word)) ?? words[2] ?? '';
  return kind === 'route'
    ? `route ${target}`
    : `${kind} ${target} ${words.includes('dev') ? device : ''}`.trim();
}

/** Describes an object in the kernel; undefined for kinds other than routes and neighbours. */
export function shownBy(kernel: KernelState, object: string): string | undefined {
  const [kind, target, device] = object.split(' ');
  if (kind === 'route') {
    const found = kernel.routes.filter(({ destination }) => destination.toLowerCase() === target);
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
  if (kind !== 'neigh') return undefined;
  const found = kernel.neighbours.find(
    (one) => one.address.toLowerCase() === target && one.device === device,
  );
  return found ? `lladdr ${found.mac}` : 'no such neighbour';
}
