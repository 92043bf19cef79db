/** Sorts the errors of a batch: which tunnels are impossible, and which errors are faults. Pure. */
import type { Tunnel } from '../../ipip/device-plan.ts';
import type { MissingTunnels } from '../../ipip/tunnelling.ts';
import type { BatchError } from '../../kernel/port.ts';
import { type TunnelKind, tunnels } from '../../model/tunnel.ts';

/** Returns tunnels whose device the kernel refuses to create, with its message. */
export function missingOf(wanted: readonly Tunnel[], errors: readonly BatchError[]): MissingTunnels {
  return Object.fromEntries(
    wanted.flatMap(({ kind }) => {
      const refused = errors.find(
        ({ command, message }) =>
          command.startsWith(`link add name ${tunnels[kind].device} `) && !/File exists/.test(message),
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

/** Whether an error is a fault: not when the interface is gone, nor when the command needs an impossible tunnel. */
export function isFault({ command, message }: BatchError, missing: MissingTunnels): boolean {
  if (/No such (device|process)|Cannot find device/.test(message)) return false;
  // The kernel creates tunl0 when it loads the module.
  if (command.startsWith('link add name ') && /File exists/.test(message)) return false;
  return !(Object.keys(missing) as TunnelKind[]).some((kind) => command.includes(tunnels[kind].device));
}
