/** Sorts the errors of changes: which tunnels are impossible, and which errors are faults. Pure. */
import type { Tunnel } from '../../ipip/device-plan.ts';
import type { MissingTunnels } from '../../ipip/tunnelling.ts';
import { type ChangeError, devicesOf, type KernelChange, type LinkAddition } from '../../kernel/change.ts';
import { tunnels } from '../../model/tunnel.ts';
import type { Judge } from './changes.ts';

/** Returns tunnels whose device the kernel refuses to create, with its message. */
export function missingOf(wanted: readonly Tunnel[], errors: readonly ChangeError[]): MissingTunnels {
  return Object.fromEntries(
    wanted.flatMap(({ kind }) => {
      const refused = errors.find(
        ({ change, code }) => isAddition(change) && change.name === tunnels[kind].device && code !== 'EEXIST',
      );
      return refused ? [[kind, refused.message]] : [];
    }),
  );
}

/** Returns the reasons that concern wanted tunnels. */
export function wantedOf(wanted: readonly Tunnel[], reasons: MissingTunnels): MissingTunnels {
  return Object.fromEntries(
    wanted.flatMap(({ kind }) => (reasons[kind] === undefined ? [] : [[kind, reasons[kind]]])),
  );
}

/**
 * Returns a judge of errors. An error is not a fault when the object or its interface is gone, or when the change needs a
 * device that cannot be used.
 */
export function faultsOf(isUsable: (device: string) => boolean): Judge {
  return (errors) =>
    errors.filter(({ change, code }) => {
      if (code === 'ENODEV' || code === 'ESRCH') return false;
      // The kernel creates tunl0 when it loads the module.
      if (isAddition(change) && code === 'EEXIST') return false;
      return devicesOf(change).every(isUsable);
    });
}

function isAddition(change: KernelChange): change is LinkAddition {
  return change.object === 'link' && change.verb === 'add';
}
