/** Sorts the errors of changes: which tunnels are impossible, and which errors are faults. Pure. */
import type { Tunnel } from '../../ipip/device-plan.ts';
import type { MissingTunnels } from '../../ipip/tunnelling.ts';
import { type ChangeError, devicesOf, type KernelChange, type LinkAddition } from '../../kernel/change.ts';
import { type TunnelKind, tunnels } from '../../model/tunnel.ts';

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

/** Whether an error is a fault: not when the object or its interface is gone, nor when the change needs an impossible tunnel. */
export function isFault({ change, code }: ChangeError, missing: MissingTunnels): boolean {
  if (code === 'ENODEV' || code === 'ESRCH') return false;
  // The kernel creates tunl0 when it loads the module.
  if (isAddition(change) && code === 'EEXIST') return false;
  const devices = devicesOf(change);
  return !(Object.keys(missing) as TunnelKind[]).some((kind) => devices.includes(tunnels[kind].device));
}

function isAddition(change: KernelChange): change is LinkAddition {
  return change.object === 'link' && change.verb === 'add';
}
